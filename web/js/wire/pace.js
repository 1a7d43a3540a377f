// @ts-check
/** How many bits of pictures the way to one member carries without harm to the sound: less after a loss, more after a while without. */

/** Nobody can use more. */
const MOST = 4_000_000;
/** Below this, pictures are not worth the sound that they cost. */
const LEAST = 80_000;
/** The share of packets that is lost from which on the sound begins to suffer, and from which on it does. */
const LOSSY = 0.03;
const BAD = 0.1;
/** A round trip this much longer than the shortest one: the pictures fill a queue in front of the sound. */
const QUEUE = 300;
/** The shortest one is forgotten, milliseconds a second: what is behind the way may be another one. */
const FORGETS = 5;
/** A loss is reported about a second late, and what was changed since shows later still. */
const REACTS_AFTER = 2_000;
/** What was too much once is not tried again at once. */
const WAITS = 15_000;
const GROWTH = 1.06;
/** Without pictures for so long, and twice as long each time that they fail again. */
const PAUSE = { first: 15_000, longest: 120_000 };
/** The loss has to last this long before pictures are paused. */
const PAUSES_AFTER = 5_000;

export class Pace {
  /** bit/s */
  limit = MOST;
  /** Whether even the smallest picture costs the sound too much. */
  isPaused = false;

  #clock;
  #shortest = Infinity;
  #seenAt;
  #way = "";
  #changedAt = -Infinity;
  #grewAt;
  #poorSince = Infinity;
  #resumeAt = 0;
  #pause = PAUSE.first;

  /** @param {import("./clock.js").Clock} clock */
  constructor(clock) {
    this.#clock = clock;
    this.#grewAt = this.#seenAt = clock.now();
  }

  /**
   * @param {{ loss: number | null, rtt: number | null, way?: string }} report  of the other side: 0 to 1, if it is news;
   *   milliseconds; and over which way, as another one has another round trip
   * @param {number} sent  bits of pictures a second
   */
  see({ loss, rtt, way = "" }, sent) {
    const now = this.#clock.now();
    if (way !== this.#way) this.#shortest = Infinity;
    this.#way = way;
    this.#shortest = Math.min(this.#shortest + (FORGETS * (now - this.#seenAt)) / 1000, rtt ?? Infinity);
    this.#seenAt = now;
    const isQueuing = rtt !== null && rtt > this.#shortest + QUEUE;
    if (this.isPaused) return this.#mayResume(now);
    if (loss !== null && loss > BAD) this.#shrink(now, sent, 0.6);
    else if (isQueuing || (loss !== null && loss > LOSSY)) this.#shrink(now, sent, 0.8);
    else this.#grow(now, loss !== null);
  }

  /** @param {number} now @param {number} sent @param {number} factor */
  #shrink(now, sent, factor) {
    this.#grewAt = now;
    if (now - this.#changedAt >= REACTS_AFTER) {
      this.#changedAt = now;
      this.limit = Math.max(LEAST, Math.min(this.limit, sent || this.limit) * factor);
    }
    if (this.limit > LEAST) return;
    this.#poorSince = Math.min(this.#poorSince, now);
    if (now - this.#poorSince < PAUSES_AFTER) return;
    this.isPaused = true;
    this.#resumeAt = now + this.#pause;
    this.#pause = Math.min(2 * this.#pause, PAUSE.longest);
  }

  /** @param {number} now @param {boolean} isKnown  that nothing was lost */
  #grow(now, isKnown) {
    if (isKnown) this.#poorSince = Infinity;
    if (this.limit >= MOST) this.#pause = PAUSE.first;
    if (now - this.#changedAt < WAITS) this.#grewAt = now;
    const seconds = (now - this.#grewAt) / 1000;
    this.#grewAt = now;
    this.limit = Math.min(MOST, this.limit * GROWTH ** seconds);
  }

  /** @param {number} now */
  #mayResume(now) {
    if (now < this.#resumeAt) return;
    this.isPaused = false;
    this.#poorSince = Infinity;
    this.#changedAt = this.#grewAt = now;
    this.limit = 1.5 * LEAST;
  }
}
