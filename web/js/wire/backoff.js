// @ts-check
/** How long to wait before the next attempt: twice as long each time, by chance less, so that not all come back at once. */

const FIRST = 500;
const MOST = 15_000;

/**
 * @param {number} attempt  0 for the first
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function backoff(attempt, random) {
  const most = Math.min(MOST, FIRST * 2 ** attempt);
  return most * (0.5 + random() / 2);
}
