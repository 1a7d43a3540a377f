// @ts-check
/** Numbered lines of chat to and from one member. A line may go over a channel that breaks and again through the server, and is shown once. */

/** @typedef {{ id: number, text: string }} Line */

/** How many sent lines are kept until they are acknowledged, and how many received numbers, to recognize repeated lines. */
const REMEMBERED = { said: 30, heard: 300 };

export class Lines {
  /** Lines sent on a channel and not acknowledged yet. @type {Map<number, Line>} */
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
