// @ts-check
/** Reactions: a sign that everybody sees for a moment. */

import { Bucket } from "./bucket.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./room.js").Member} Member */

/** The signs, and the keys of what they mean. */
export const SIGNS = /** @type {const} */ ({ "👍": "yes", "👏": "clap", "❤️": "heart", "😂": "laugh", "🎉": "party", "😮": "wow" });
/** @typedef {keyof typeof SIGNS} Sign */

/** How many of one member are shown; further ones are dropped. */
const RATE = { burst: 5, perSecond: 2 };

/** @extends {Emitter<{ reaction: [Member | null, Sign] }>}  of nobody else: one's own */
export class Reactions extends Emitter {
  #conversation;
  #own;
  /** @type {Map<string, Bucket>} */
  #welcome = new Map();

  /** @param {import("./room.js").Room} room @param {import("./conversation.js").Conversation} conversation @param {import("./clock.js").Clock} clock */
  constructor(room, conversation, clock) {
    super();
    this.#conversation = conversation;
    this.#own = new Bucket(RATE, clock);
    room.on("left", ({ id }) => void this.#welcome.delete(id));
    conversation.on("note", (member, { t, sign }) => {
      if (t !== "reaction" || !isSign(sign)) return;
      const welcome = this.#welcome.get(member.id) ?? new Bucket(RATE, clock);
      this.#welcome.set(member.id, welcome);
      if (welcome.take()) this.emit("reaction", member, sign);
    });
  }

  /** @param {Sign} sign */
  react(sign) {
    if (!this.#own.take()) return;
    this.#conversation.tell({ t: "reaction", sign });
    this.emit("reaction", null, sign);
  }
}

/** @param {unknown} sign @returns {sign is Sign} */
function isSign(sign) {
  return typeof sign === "string" && Object.hasOwn(SIGNS, sign);
}
