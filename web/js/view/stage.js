// @ts-check
/** Everybody's tiles, arranged so that each is as large as can be. */

import { html } from "./dom.js";
import { Tile } from "./tile.js";

/** @typedef {import("./tile.js").Look} Look */

/** What a picture is wide, of its height: on a screen that is higher than wide, faces may be, too. */
const ASPECT = { landscape: 4 / 3, portrait: 1 };
const GAP = 12;

export class Stage {
  #place = html("stage");
  /** @type {Map<string, { tile: Tile, look: Look }>} */
  #people = new Map();

  constructor() {
    new ResizeObserver(() => this.#arrange()).observe(this.#place);
  }

  /** @param {string} id @param {{ isSelf: boolean, onDot?: () => void }} options @returns {Tile} */
  add(id, options) {
    const tile = new Tile(options);
    this.#people.set(id, { tile, look: { name: "", mic: false, cam: false, screen: false } });
    return tile;
  }

  /** @param {string} id */
  tile(id) {
    return this.#people.get(id)?.tile;
  }

  /** @param {string} id @param {Look} look */
  show(id, look) {
    const person = this.#people.get(id);
    if (!person) return;
    person.look = look;
    person.tile.show(look);
    this.#arrange();
  }

  /** @param {string} id */
  remove(id) {
    this.#people.get(id)?.tile.remove();
    this.#people.delete(id);
    this.#arrange();
  }

  clear() {
    for (const id of [...this.#people.keys()]) this.remove(id);
  }

  #arrange() {
    const people = [...this.#people.values()];
    // Of several shared screens, prefer the last one that is not our own.
    const shown = people.filter(({ look, tile }) => look.screen && !tile.element.classList.contains("self")).at(-1);
    for (const person of people) person.tile.element.classList.toggle("large", person === shown);
    this.#place.dataset.layout = shown ? "screen" : people.length === 2 ? "pair" : "grid";
    const tiles = people.length === 2 ? 1 : people.length;
    const { clientWidth, clientHeight } = this.#place;
    const count = columns(tiles, clientWidth, clientHeight);
    this.#place.style.setProperty("--columns", String(count));
    this.#place.style.setProperty("--rows", String(Math.ceil(tiles / count)));
  }
}

/**
 * The number of columns with which most of the pictures is seen.
 * @param {number} tiles @param {number} width @param {number} height
 */
function columns(tiles, width, height) {
  const aspect = width < height ? ASPECT.portrait : ASPECT.landscape;
  let [best, most] = [1, 0];
  for (let count = 1; count <= tiles; count += 1) {
    const rows = Math.ceil(tiles / count);
    const [wide, high] = [(width - (count - 1) * GAP) / count, (height - (rows - 1) * GAP) / rows];
    const seen = Math.min(wide, high * aspect);
    if (seen > most) [best, most] = [count, seen];
  }
  return best;
}
