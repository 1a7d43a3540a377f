// @ts-check
/** One tab of a browser is in a call: another tab of the same browser, a duplicate for instance, has to ask for its place. */

/** A page that is reloaded gets its place back from itself, when the old page is gone. */
const HANDOVER = 700;

export class Seat {
  /** What happens when another tab takes it. */
  onlost = () => {};
  #locks;
  #name;
  #release = () => {};

  /** @param {LockManager | undefined} locks  not every page has it @param {string} room */
  constructor(locks, room) {
    this.#locks = locks;
    this.#name = `call ${room}`;
  }

  /** @param {import("./clock.js").Clock} clock @returns {Promise<boolean>} whether it was free */
  take(clock) {
    const waiting = new AbortController();
    const cancel = clock.after(HANDOVER, () => waiting.abort());
    return this.#hold({ signal: waiting.signal }).finally(cancel);
  }

  /** Takes it from the other tab, which is told. */
  seize() {
    return this.#hold({ steal: true });
  }

  release() {
    this.onlost = () => {};
    this.#release();
  }

  /** @param {LockOptions} options @returns {Promise<boolean>} */
  #hold(options) {
    const locks = this.#locks;
    if (!locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      let isHeld = false;
      const held = () => {
        resolve((isHeld = true));
        return new Promise((free) => (this.#release = () => free(undefined)));
      };
      // It is refused, or, after it was held, taken away. A page in a sandbox may have no locks at all.
      locks.request(this.#name, options, held).catch(({ name }) => {
        if (isHeld) this.onlost();
        else resolve(name !== "AbortError");
      });
    });
  }
}
