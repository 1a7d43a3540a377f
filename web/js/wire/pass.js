// @ts-check
/** Room tokens: whether one may still be of use, and how the password is exchanged for one. */

import { within } from "./clock.js";
import { HOME } from "./place.js";

/** - `wrong` the password, - `wait` for so many seconds, - `silent` the server does not answer @typedef {{ token: string } | { failed: "wrong" | "silent" } | { failed: "wait", seconds: number }} Exchanged */

const ANSWER_WITHIN = 10_000;

/** A token that has expired is only of use to get another one. @param {string} token @param {number} now  milliseconds since the epoch */
export function isCurrent(token, now) {
  const [, expires] = /^[rp]1\.(\d+)\./.exec(token) ?? [];
  return expires !== undefined && now / 1000 < Number(expires) + 1;
}

/**
 * @param {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @param {import("./clock.js").Clock} clock
 * @param {string} password
 * @param {string} former  a token from earlier: guesses of neighbours do not hold its holder back
 * @returns {Promise<Exchanged>}
 */
export function exchange(fetch, clock, password, former) {
  return within(clock, ANSWER_WITHIN, ask(fetch, password, former), { failed: "silent" });
}

/** @param {(url: string, init: RequestInit) => Promise<Response>} fetch @param {string} password @param {string} former @returns {Promise<Exchanged>} */
async function ask(fetch, password, former) {
  const headers = { "Content-Type": "application/json", ...(former && { Authorization: `Bearer ${former}` }) };
  const answer = await fetch(`${HOME}api/v1/room-password`, { method: "POST", headers, body: JSON.stringify({ password }) });
  if (answer.ok) return { token: (await answer.json()).token };
  if (answer.status === 403) return { failed: "wrong" };
  const seconds = Number(answer.headers.get("retry-after"));
  return seconds > 0 ? { failed: "wait", seconds } : { failed: "silent" };
}
