// @ts-check
/** What the call is called, how many are in it and since when: on top of the page, and shorter in its tab. */

import { clockOf } from "../wire/duration.js";
import { isRandom } from "../wire/link.js";
import { html } from "./dom.js";
import { onLanguage, say, silence, text } from "./language.js";
import { nameTitle } from "./title.js";

export class Heading {
  #name;
  #count;
  #since = performance.now();
  #ticking = setInterval(() => this.draw(), 1_000);

  /** @param {string} name  of the room @param {() => number} count  how many are in it */
  constructor(name, count) {
    this.#name = name;
    this.#count = count;
    if (isRandom(name)) say(html("room-name"), "call.room.private");
    else silence(html("room-name"), name);
    onLanguage(() => this.draw());
    this.draw();
  }

  draw() {
    if (!this.#ticking) return;
    const ms = performance.now() - this.#since;
    const people = text("title.people", { count: this.#count() });
    const room = isRandom(this.#name) ? text("title.call") : this.#name;
    html("room-people").textContent = `${people} · `;
    html("room-clock").textContent = clockOf(ms);
    // In a tab seconds would only be restless.
    nameTitle(text("title.room", { room, people, time: text("title.minutes", { count: Math.floor(ms / 60_000) }) }));
  }

  close() {
    clearInterval(this.#ticking);
    this.#ticking = 0;
    nameTitle("Hairpin");
  }
}
