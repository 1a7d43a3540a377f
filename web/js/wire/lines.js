// @ts-check
/** Lines of chat to and from one member: none is lost with the connection that carried it, and none is heard twice. */

export class Lines {
  /** What was said and, as far as is known, not heard. @type {Map<number, string>} */
  #unheard = new Map();
  #lastSaid = 0;
  #lastHeard = 0;

  /** @param {string} text @returns {number} the line's number */
  say(text) {
    this.#lastSaid += 1;
    this.#unheard.set(this.#lastSaid, text);
    return this.#lastSaid;
  }

  /** Lines arrive in order, so the other has heard all up to this one. @param {number} id */
  wasHeard(id) {
    for (const said of this.#unheard.keys()) if (said <= id) this.#unheard.delete(said);
  }

  /** What another connection has to carry again, in order. @returns {[id: number, text: string][]} */
  get unheard() {
    return [...this.#unheard];
  }

  /** Whether a line of the other's was not heard before. @param {number} id @returns {boolean} */
  hears(id) {
    if (!(id > this.#lastHeard)) return false;
    this.#lastHeard = id;
    return true;
  }
}
