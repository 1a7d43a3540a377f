// @ts-check
/** A token bucket: a burst, and a rate per second. */
export class Bucket {
  #limits;
  #clock;
  #left;
  #at;

  /** @param {{ burst: number, perSecond: number }} limits @param {import("./clock.js").Clock} clock */
  constructor(limits, clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#left = limits.burst;
    this.#at = clock.now();
  }

  /** @returns {boolean} whether there was one left */
  take() {
    this.#fill();
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Whole milliseconds until there is one. */
  get wait() {
    this.#fill();
    return Math.max(0, Math.ceil((1000 * (1 - this.#left)) / this.#limits.perSecond));
  }

  #fill() {
    const { burst, perSecond } = this.#limits;
    const now = this.#clock.now();
    this.#left = Math.min(burst, this.#left + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
  }
}
