// @ts-check
/** Everybody's tiles, and one for each shared screen, where wire/arrange.js says. */

import { arrange, largeOf } from "../wire/arrange.js";
import { cornerNamed } from "../wire/corner.js";
import { Speaker } from "../wire/speaking.js";
import { button, html } from "./dom.js";
import { label, silence } from "./language.js";
import { recall, remember } from "./memory.js";
import { ownTools } from "./own.js";
import { stand, Tile } from "./tile.js";

/** @typedef {import("./tile.js").Look} Look */
/** @typedef {import("../wire/arrange.js").Layout} Layout */
/** @typedef {{ id: string, tile: Tile, isSelf: boolean, isScreen: boolean, seen: string }} Shown */

/** The tile of what a member shares, beside the one of the camera. @param {string} id */
export const screenOf = (id) => `${id} screen`;

export class Stage {
  /** @type {Layout} */
  layout = recall("layout") === "speaker" ? "speaker" : "grid";
  #place = html("stage");
  #rest = button("rest");
  #back = button("self-back");
  /** In the order in which they came. @type {Map<string, Shown>} */
  #shown = new Map();
  #pinned = "";
  #corner = cornerNamed(recall("corner"));
  #isSelfHidden = recall("self") === "hidden";
  #speaker = new Speaker();
  #size = { width: 0, height: 0, gap: 0 };
  /** What the tiles were last placed by. */
  #placed = "";
  #does;

  /** @param {{ dot: () => void, stop: () => void, people: () => void, full: () => void }} does  what is done at a press */
  constructor(does) {
    this.#does = does;
    this.#rest.addEventListener("click", does.people);
    label(this.#back, "tile.unhide").addEventListener("click", () => this.#hideSelf(false));
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = this.#place;
      this.#size = { width, height, gap: parseFloat(getComputedStyle(this.#place).columnGap) };
      this.#arrange();
    }).observe(this.#place);
  }

  /** @param {string} id @param {{ isSelf: boolean, isScreen?: boolean }} options @returns {Tile} */
  add(id, { isSelf, isScreen = false }) {
    const tile = new Tile({ isSelf, isScreen, onDot: this.#does.dot, onPin: () => this.pin(id) });
    if (isSelf) ownTools(tile, isScreen, { stop: this.#does.stop, hide: () => this.#hideSelf(true), corner: () => this.#corner, move: (corner) => this.#move(corner) });
    tile.video.addEventListener("resize", () => this.#arrange());
    tile.element.addEventListener("click", (event) => this.#clicked(id, event));
    this.#shown.set(id, { id, tile, isSelf, isScreen, seen: "" });
    this.#arrange();
    return tile;
  }

  /** @param {string} id */
  tile(id) {
    return this.#shown.get(id)?.tile;
  }

  /** @param {string} id @param {Look} look */
  show(id, look) {
    const person = this.#shown.get(id);
    const seen = JSON.stringify(look);
    // Most seconds change nothing.
    if (!person || person.seen === seen) return;
    person.seen = seen;
    const screen = screenOf(id);
    if (look.screen && !this.#shown.has(screen)) this.add(screen, { isSelf: person.isSelf, isScreen: true });
    if (!look.screen) this.#take(screen);
    person.tile.show(look);
    this.tile(screen)?.show(look);
    this.#arrange();
  }

  /** @param {string} id @param {boolean} isSpeaking */
  speak(id, isSpeaking) {
    const person = this.#shown.get(id);
    person?.tile.speak(isSpeaking);
    if (person && !person.isSelf && this.#speaker.hear(id, isSpeaking, performance.now())) this.#arrange();
  }

  /** Shows a tile large until it is pinned no more. @param {string} id */
  pin(id) {
    this.#pinned = this.#pinned === id ? "" : id;
    this.#arrange();
  }

  /** @param {Layout} layout */
  choose(layout) {
    this.layout = layout;
    this.#pinned = "";
    remember("layout", layout === "grid" ? "" : layout);
    this.#arrange();
  }

  /** The tile that is large, or else the one of whoever spoke last. */
  get foremost() {
    const others = [...this.#shown.values()].filter(({ isSelf }) => !isSelf);
    return (others.find(({ tile }) => tile.element.classList.contains("large")) ?? others.find(({ id }) => id === this.#speaker.current) ?? others[0])?.tile;
  }

  /** @param {string} id */
  remove(id) {
    this.#take(screenOf(id));
    this.#take(id);
    this.#arrange();
  }

  clear() {
    for (const id of [...this.#shown.keys()]) this.remove(id);
  }

  /** @param {string} id */
  #take(id) {
    this.#shown.get(id)?.tile.remove();
    this.#shown.delete(id);
    this.#speaker.forget(id);
    if (this.#pinned === id) this.#pinned = "";
  }

  /** A click pins, and the second of a double click fills the screen with it. @param {string} id @param {MouseEvent} event */
  #clicked(id, { target, detail }) {
    if (target instanceof Element && target.closest("button")) return;
    const isOther = !this.#shown.get(id)?.isSelf;
    if (detail === 2) this.#does.full();
    else if (detail === 1 && isOther && this.#shown.size > 2) this.pin(id);
  }

  /** @param {boolean} isHidden */
  #hideSelf(isHidden) {
    this.#isSelfHidden = isHidden;
    remember("self", isHidden ? "hidden" : "");
    this.#arrange();
    if (isHidden) this.#back.focus();
    else html("stage").querySelector(/** @type {"button"} */ (".self .hide"))?.focus();
  }

  /** @param {import("../wire/arrange.js").Corner} corner */
  #move(corner) {
    this.#corner = corner;
    remember("corner", corner);
    this.#arrange();
  }

  #arrange() {
    const all = [...this.#shown.values()];
    const isHidden = this.#isSelfHidden && all.some(({ isSelf }) => !isSelf);
    const items = all.filter(({ isSelf, isScreen }) => isScreen || !isSelf || !isHidden).map(itemOf);
    const large = largeOf(items, { pinned: this.#pinned, layout: this.layout, speaker: this.#speaker.current });
    const stage = { ...this.#size, corner: this.#corner };
    // Nothing is computed or drawn anew for what is as it was.
    const by = JSON.stringify([items, large, stage, this.#pinned, this.layout]);
    if (by === this.#placed) return;
    this.#placed = by;
    button("layout").hidden = all.filter(({ isScreen }) => !isScreen).length < 3;
    button("layout").setAttribute("aria-pressed", String(this.layout === "speaker"));
    this.#back.hidden = !isHidden;
    this.#put(arrange(items, large, stage), items.length);
  }

  /** @param {import("../wire/arrange.js").Arrangement} arrangement @param {number} count */
  #put({ boxes, large, overlay, rest }, count) {
    this.#place.dataset.layout = large === null ? "grid" : "large";
    for (const { id, tile } of this.#shown.values()) {
      tile.place(boxes.get(id), { isLarge: id === large, isOverlay: id === overlay });
      tile.pinned(id === this.#pinned, this.#shown.size > 2);
    }
    this.#rest.hidden = !rest;
    if (!rest) return;
    stand(this.#rest, rest);
    silence(this.#rest, `+${count - boxes.size}`);
    label(this.#rest, "tile.rest", { count: count - boxes.size });
  }
}

/** Pictures of less detail have not quite the same shape: nobody is to move for that, but a screen has an edge of its own. @param {Shown} shown */
function itemOf({ id, tile, isSelf, isScreen }) {
  const steps = isScreen ? 200 : 20;
  return { id, isSelf, isScreen, aspect: Math.round(tile.aspect * steps) / steps };
}
