// @ts-check
/** The safety number with one of the others: four signs to tell each other, the same in digits, and what it says. */

import { make } from "./dom.js";
import { currentLanguage, say } from "./language.js";

/** @typedef {import("../wire/safety.js").Safety} Safety */

export class Proof {
  #signs = make("ul", "signs");
  #digits = make("p", "digits");
  #words = make("p", "small");
  element = make("div", "proof", say(make("h3", "small"), "safety.number"), this.#signs, this.#digits, this.#words);
  /** What is drawn. */
  #drawn = "";

  /** @param {string} name @param {ReturnType<Safety["of"]>} proof */
  async draw(name, { standing, number }) {
    const language = currentLanguage();
    const drawn = JSON.stringify([name, standing, number, language]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.dataset.standing = standing;
    say(this.#words, `safety.${standing}`, { name });
    this.#digits.textContent = number?.digits.join(" ") ?? "";
    if (!number) return this.#signs.replaceChildren();
    const { SIGNS } = await import("../wire/signs.js");
    if (drawn !== this.#drawn) return;
    const items = number.signs.map((byte) => {
      const sign = make("span", "sign", SIGNS[byte].sign);
      sign.ariaHidden = "true";
      return make("li", "", sign, make("span", "small", SIGNS[byte][language]));
    });
    this.#signs.replaceChildren(...items);
  }
}
