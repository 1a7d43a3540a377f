// @ts-check
/** Notices that somebody speaks who is muted, and may not know it. */

/** Speech of this length is meant for the others. */
const SPEECH = 1_200;
/** A pause for breath does not end it. */
const PAUSE = 600;
/** Whoever was told just now knows it. */
const TOLD_FOR = 30_000;

export class Unheard {
  #began = 0;
  #last = -Infinity;
  #told = -Infinity;

  /**
   * @param {boolean} isLoud  what is heard at the moment, of a microphone that is muted
   * @param {number} now
   * @returns {boolean} whether to tell the user
   */
  hear(isLoud, now) {
    if (!isLoud) return false;
    if (now - this.#last > PAUSE) this.#began = now;
    this.#last = now;
    if (now - this.#began < SPEECH || now - this.#told < TOLD_FOR) return false;
    this.#told = now;
    return true;
  }
}
