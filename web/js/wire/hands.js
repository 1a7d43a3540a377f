// @ts-check
/** Who has raised a hand, in the order in which they did. */

import { Emitter } from "./emitter.js";

/** @typedef {import("./room.js").Room} Room */
/** @typedef {import("./room.js").Member} Member */

/** Oneself, whatever id the server gives. */
const ME = "";

/** @extends {Emitter<{ changed: [], raised: [Member], lowered: [] }>} */
export class Hands extends Emitter {
  #room;
  #conversation;
  /** @type {string[]} */
  #raised = [];

  /** @param {Room} room @param {import("./conversation.js").Conversation} conversation */
  constructor(room, conversation) {
    super();
    this.#room = room;
    this.#conversation = conversation;
    room.on("came", ({ id, state }) => this.#see(id, state.hand));
    room.on("changed", (member) => {
      if (this.#see(member.id, member.state.hand) && member.state.hand) this.emit("raised", member);
    });
    room.on("left", ({ id }) => this.#see(id, false));
    room.on("me", () => this.#see(ME, room.me.state.hand));
    conversation.on("note", ({ id }, { t }) => {
      // Only the host may ask that.
      if (t !== "lower" || id !== room.host || !room.me.state.hand) return;
      this.raise(false);
      this.emit("lowered");
    });
  }

  /** @param {boolean} isUp */
  raise(isUp) {
    this.#room.show({ hand: isUp });
  }

  /** The host asks another member to lower the hand. @param {string} id */
  lower(id) {
    this.#conversation.tell({ t: "lower" }, id);
  }

  /** Which one it is, from 1, or 0 if the hand is down. @param {string} id */
  place(id) {
    return this.#raised.indexOf(id === this.#room.you ? ME : id) + 1;
  }

  /** @param {string} id @param {boolean} isUp @returns {boolean} whether that is news */
  #see(id, isUp) {
    if (this.#raised.includes(id) === isUp) return false;
    this.#raised = isUp ? [...this.#raised, id] : this.#raised.filter((it) => it !== id);
    this.emit("changed");
    return true;
  }
}
