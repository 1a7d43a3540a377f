// @ts-check
/** Who of the others is speaking, for as long as nobody else speaks for longer than a cough. */

/** Whoever speaks for so long while it is quiet is the one to look at. */
const COUGH = 1_200;
/** And whoever speaks for so long while the one to look at speaks, too. */
const INTERRUPTION = 6_000;

export class Speaker {
  current = "";
  #changedAt = -Infinity;
  /** Since when each has spoken without a pause. @type {Map<string, number>} */
  #since = new Map();

  /** @param {string} id @param {boolean} isSpeaking @param {number} now @returns {boolean} whether somebody else is to be looked at */
  hear(id, isSpeaking, now) {
    if (!isSpeaking) this.#since.delete(id);
    else if (!this.#since.has(id)) this.#since.set(id, now);
    const since = this.#since.get(id);
    if (since === undefined || id === this.current) return false;
    const isQuiet = !this.#since.has(this.current);
    if (isQuiet ? now - since < COUGH : now - Math.max(since, this.#changedAt) < INTERRUPTION) return false;
    this.current = id;
    this.#changedAt = now;
    return true;
  }

  /** @param {string} id */
  forget(id) {
    this.#since.delete(id);
    if (this.current === id) this.current = "";
  }
}
