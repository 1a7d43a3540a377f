// @ts-check
/** Why the server does not admit this page: its own answer, and what that means. */

import { within } from "./clock.js";
import { Emitter } from "./emitter.js";
import { pathIn } from "./link.js";
import { HOME } from "./place.js";

/**
 * The answer of POST /api/v1/door; docs/http.md explains it.
 * @typedef {object} Answer
 * @property {string | null} origin  of the page, as it has reached the server
 * @property {string | null} expected  the origin at which the server expects its pages
 * @property {boolean} allowed  whether pages of this origin may come in
 * @property {"ok" | "too_many" | "full" | "draining"} sockets  whether there is a place for one more
 * @property {"anyone" | "token" | "password"} create  who may start a call
 */

/**
 * - `elsewhere`  pages of this address may not come in: the server expects them at another one
 * - `unnamed`    pages of this address are not admitted, and the operator has not configured an address
 * - `altered`    a proxy changes the Origin header that the browser sends
 * - `too_many`   this network has as many connections as one may have
 * - `full`       the server has as many as it takes
 * - `draining`   the server is about to stop
 * - `blocked`    the server has nothing against it: something on the way does not let WebSockets through
 * - `silent`     the server does not answer at all
 * @typedef {"elsewhere" | "unnamed" | "altered" | "too_many" | "full" | "draining" | "blocked" | "silent"} Reason
 */

/** @typedef {{ reason: Reason, origin: string, expected: string }} Why */

/** For these, nothing changes by trying again. */
const LASTING = new Set(["elsewhere", "unnamed", "altered"]);
const ANSWER_WITHIN = 5_000;

/** @param {Why} why */
export function isLasting({ reason }) {
  return LASTING.has(reason);
}

/**
 * @param {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @param {import("./clock.js").Clock} clock
 * @returns {Promise<Answer | null>} null if there is none, from an older server for instance
 */
export function askDoor(fetch, clock) {
  return within(clock, ANSWER_WITHIN, ask(fetch), null);
}

/**
 * @param {Answer | null} answer  after a socket could not be opened
 * @param {string} origin  of this page
 * @returns {Why}
 */
export function understand(answer, origin) {
  return { reason: reasonOf(answer, origin), origin, expected: answer?.expected ?? "" };
}

/**
 * The same page where the server expects it: its path, and the room's key behind the `#`.
 * @param {Why} why @param {{ pathname: string, search?: string, hash: string }} location @param {string} [home]  the path of the site
 */
export function rightPlace({ expected }, { pathname, search = "", hash }, home = HOME) {
  return expected + home + pathIn(pathname, home) + search + hash;
}

/** Asks each time that a session's socket could not be opened. @extends {Emitter<{ why: [Why] }>} */
export class Door extends Emitter {
  #signaling;
  #ask;
  #origin;
  #isAsking = false;

  /**
   * @param {object} parts
   * @param {import("./signaling.js").Signaling} parts.signaling
   * @param {() => Promise<Answer | null>} parts.ask
   * @param {string} parts.origin  of this page
   */
  constructor({ signaling, ask, origin }) {
    super();
    this.#signaling = signaling;
    this.#ask = ask;
    this.#origin = origin;
    signaling.on("unopened", () => this.#find());
  }

  async #find() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const answer = await this.#ask();
    this.#isAsking = false;
    const { state } = this.#signaling;
    // Another attempt may have been luckier.
    if (state !== "up" && state !== "closed") this.emit("why", understand(answer, this.#origin));
  }
}

/** @param {Answer | null} answer @param {string} origin @returns {Reason} */
function reasonOf(answer, origin) {
  if (!answer) return "silent";
  if (answer.allowed) return answer.sockets === "ok" ? "blocked" : answer.sockets;
  if (answer.origin !== origin) return "altered";
  return answer.expected ? "elsewhere" : "unnamed";
}

/** @param {(url: string, init: RequestInit) => Promise<Response>} fetch @returns {Promise<Answer | null>} */
async function ask(fetch) {
  // Browsers do not say with a GET where a page is from.
  const response = await fetch(`${HOME}api/v1/door`, { method: "POST" });
  // A network that asks this often also connects this often.
  if (response.status === 429) return { origin: null, expected: null, allowed: true, sockets: "too_many", create: "anyone" };
  return response.ok ? response.json() : null;
}
