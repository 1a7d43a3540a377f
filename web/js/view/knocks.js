// @ts-check
/** Who waits to be let in: the host is told until they are answered. */

import { countInTitle, ring } from "./title.js";
import { dismiss, toast } from "./toasts.js";

export class Knocks {
  #room;
  #isShown;
  #show;
  /** Who has been announced. */
  #known = new Set();

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {() => boolean} parts.isShown  whether the list of those who wait is seen
   * @param {() => void} parts.show  shows it
   */
  constructor({ room, isShown, show }) {
    this.#room = room;
    this.#isShown = isShown;
    this.#show = show;
    room.on("knocks", () => this.draw());
  }

  /** Also when the list appears or disappears. */
  draw() {
    const { knocks } = this.#room;
    const isNews = [...knocks.keys()].some((id) => !this.#known.has(id));
    this.#known = new Set(knocks.keys());
    countInTitle("knocks", knocks.size);
    if (isNews) ring("knock");
    dismiss("people.admit");
    dismiss("people.look");
    if (knocks.size === 0 || this.#isShown()) return;
    const [[id, name]] = knocks;
    const decide = (/** @type {"admit" | "deny"} */ what) => () => this.#room.decide(what, id);
    if (knocks.size > 1) toast("people.knocks.many", { count: knocks.size }, { key: "people.look", act: this.#show, stays: true });
    else toast("people.knocks", { name }, { key: "people.admit", act: decide("admit"), stays: true }, { key: "people.deny", act: decide("deny") });
  }

  close() {
    countInTitle("knocks", 0);
  }
}
