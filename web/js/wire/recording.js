// @ts-check
/** Who records the call: everybody is told, also whoever comes later. */

import { Emitter } from "./emitter.js";

/** @typedef {import("./room.js").Member} Member */

/** @extends {Emitter<{ changed: [], began: [Member] }>} */
export class Recording extends Emitter {
  #conversation;
  #isOn = false;
  /** @type {Map<string, Member>} */
  #others = new Map();

  /** @param {import("./room.js").Room} room @param {import("./conversation.js").Conversation} conversation */
  constructor(room, conversation) {
    super();
    this.#conversation = conversation;
    conversation.on("open", ({ id }) => this.#isOn && this.#tell(id));
    conversation.on("note", (member, { t, on }) => {
      if (t === "recording" && typeof on === "boolean") this.#heard(member, on);
    });
    room.on("left", (member) => this.#heard(member, false));
  }

  get isOn() {
    return this.#isOn;
  }

  /** The names of the others who record. */
  get names() {
    return [...this.#others.values()].map(({ name }) => name);
  }

  /** @param {boolean} isOn  whether this member records */
  set(isOn) {
    if (this.#isOn === isOn) return;
    this.#isOn = isOn;
    this.#tell();
    this.emit("changed");
  }

  /** @param {string} [to] */
  #tell(to) {
    this.#conversation.tell({ t: "recording", on: this.#isOn }, to);
  }

  /** @param {Member} member @param {boolean} isOn */
  #heard(member, isOn) {
    if (this.#others.has(member.id) === isOn) return;
    if (isOn) this.#others.set(member.id, member);
    else this.#others.delete(member.id);
    this.emit("changed");
    if (isOn) this.emit("began", member);
  }
}
