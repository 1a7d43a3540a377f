// @ts-check
/** What time it is, and what happens later: an argument everywhere, so that tests need not wait. */

/**
 * @typedef {object} Clock
 * @property {() => number} now  milliseconds, from any beginning, never going back
 * @property {(ms: number, then: () => void) => () => void} after  returns what calls it off
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * A promise that resolves after this time.
 * @param {Clock} clock
 * @param {number} ms
 * @returns {Promise<void>}
 */
export function sleep(clock, ms) {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/**
 * What the promise brings, or `otherwise` if that takes too long or fails.
 * @template T
 * @param {Clock} clock
 * @param {number} ms
 * @param {Promise<T>} promise
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
export function within(clock, ms, promise, otherwise) {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(otherwise));
    promise.then(resolve, () => resolve(otherwise)).finally(cancel);
  });
}
