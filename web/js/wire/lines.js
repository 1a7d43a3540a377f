// @ts-check
/** Lines of chat to and from one member, numbered: one may go over a channel that breaks, then over the server, and is heard once. */

/** @typedef {{ id: number, text: string }} Line */

/** So many lines said are remembered until they are heard, and so many heard, to know them when they come again. */
const REMEMBERED = { said: 30, heard: 300 };

export class Lines {
  /** What was said on a channel and, as far as is known, not heard. @type {Map<number, Line>} */
  #unheard = new Map();
  /** @type {Set<number>} */
  #heard = new Set();
  #last = 0;

  /** @param {string} text @returns {Line} */
  say(text) {
    const line = { id: (this.#last += 1), text };
    this.#unheard.set(line.id, line);
    trim(this.#unheard, REMEMBERED.said);
    return line;
  }

  /** @param {number} id */
  wasHeard(id) {
    this.#unheard.delete(id);
  }

  /** @param {number} id */
  isUnheard(id) {
    return this.#unheard.has(id);
  }

  /** What another way has to carry, in order: from now on it is its care. @returns {Line[]} */
  takeUnheard() {
    const lines = [...this.#unheard.values()];
    this.#unheard.clear();
    return lines;
  }

  /** Whether a line of the other's is new. @param {number} id */
  hears(id) {
    const isNew = !this.#heard.has(id);
    this.#heard.add(id);
    trim(this.#heard, REMEMBERED.heard);
    return isNew;
  }
}

/** Forgets the oldest, if the one that has just come is one too many. @param {Map<number, any> | Set<number>} all @param {number} most */
function trim(all, most) {
  const [oldest] = all.keys();
  if (all.size > most) all.delete(oldest);
}
