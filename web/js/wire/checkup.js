// @ts-check
/** The whole check: the rooms, each way to the relay, all at once, and then a loop through the relay. */

import { sleep } from "./clock.js";
import { understand } from "./door.js";
import { Emitter } from "./emitter.js";
import { isLiteral, withLiterals } from "./literals.js";
import { loop } from "./loop.js";
import { PATIENCE, probe } from "./probe.js";

/** @typedef {import("./door.js").Why} Why */
/**
 * For the rooms, also the reason why the server does not admit the page; for the relay, `literal` says that it is reached by
 * its address alone, over UDP or TCP.
 * @typedef {Omit<import("./probe.js").Verdict, "outcome"> & { outcome: import("./probe.js").Outcome | import("./door.js").Reason | "literal", why?: Why }} Verdict
 */
/** @typedef {import("./loop.js").LoopResult} LoopResult */
/** @typedef {"rooms" | "stun" | "udp" | "tcp" | "tls"} Way */
/** `limit`: what the server lets through, in bit/s, if it says so. @typedef {LoopResult & { way: Way, limit?: number }} Loop */
/** @typedef {import("./literals.js").Offered & { bits_per_second?: number }} Given */

/** @type {Way[]} */
export const WAYS = ["rooms", "stun", "udp", "tcp", "tls"];
/** Ways to the relay, the best first. */
const RELAYED = /** @type {const} */ (["udp", "tcp", "tls"]);
/** How long to wait for UDP when another way already works. */
const UDP_WITHIN = 1_500;
/** After this time the address is tried too: a browser that cannot look a name up may say nothing for long. */
const NAME_WITHIN = 1_500;

/** @extends {Emitter<{ verdict: [Way, Verdict], looping: [Way], loop: [Loop | null] }>} */
export class Checkup extends Emitter {
  #RTCPeerConnection;
  #WebSocket;
  #socketUrl;
  #fetchIce;
  #askDoor;
  #origin;
  #clock;

  /**
   * @param {object} parts
   * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
   * @param {typeof globalThis.WebSocket} parts.WebSocket
   * @param {string} parts.socketUrl
   * @param {() => Promise<Given>} parts.fetchIce
   * @param {() => Promise<import("./door.js").Answer | null>} parts.askDoor
   * @param {string} parts.origin  of this page
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ RTCPeerConnection, WebSocket, socketUrl, fetchIce, askDoor, origin, clock }) {
    super();
    this.#RTCPeerConnection = RTCPeerConnection;
    this.#WebSocket = WebSocket;
    this.#socketUrl = socketUrl;
    this.#fetchIce = fetchIce;
    this.#askDoor = askDoor;
    this.#origin = origin;
    this.#clock = clock;
  }

  /** Rejects if the server gives no credentials to check with; what the rooms are worth is known by then. */
  async run() {
    const rooms = this.#report("rooms", this.#probeRooms());
    const offered = await this.#fetchIce().catch((why) => rooms.then(() => Promise.reject(why)));
    const { first, byAddress } = targets(withLiterals(offered));
    const probe = (/** @type {Way} */ way) => this.#report(way, this.#verdict(first[way], byAddress[way]));
    const probes = { stun: probe("stun"), udp: probe("udp"), tcp: probe("tcp"), tls: probe("tls") };
    const best = await this.#firstGood(probes);
    const found = best && (await probes[best]).outcome === "literal" ? byAddress : first;
    const looped = best && (await this.#loop(best, found[best]));
    this.emit("loop", looped && { ...looped, limit: offered.bits_per_second });
    await Promise.all([rooms, ...Object.values(probes)]);
  }

  /** @param {"udp" | "tcp" | "tls"} way @param {Target | undefined} target @returns {Promise<Loop | null>} */
  async #loop(way, target) {
    if (!target) return null;
    this.emit("looping", way);
    const server = { ...target.server, urls: [target.url] };
    const result = await loop({ RTCPeerConnection: this.#RTCPeerConnection, server, clock: this.#clock });
    return result && { ...result, way };
  }

  /** @param {Target | undefined} target @param {Target} [literal]  tried if the name leads nowhere @returns {Promise<Verdict>} */
  async #verdict(target, literal) {
    const parts = { RTCPeerConnection: this.#RTCPeerConnection, clock: this.#clock };
    if (!target) return { outcome: "missing", ms: 0, url: "", address: "", detail: "" };
    const byName = probe({ ...parts, ...target });
    if (!literal) return byName;
    const early = await Promise.race([byName, sleep(this.#clock, NAME_WITHIN)]);
    if (early?.outcome === "ok") return early;
    const byAddress = probe({ ...parts, ...literal });
    const verdict = await byName;
    if (verdict.outcome === "ok") return verdict;
    const { outcome, ...rest } = await byAddress;
    return outcome === "ok" ? { ...rest, outcome: "literal" } : verdict;
  }

  /** @param {Way} way @param {Promise<Verdict>} verdict */
  async #report(way, verdict) {
    const known = await verdict;
    this.emit("verdict", way, known);
    return known;
  }

  /** @param {Record<"udp" | "tcp" | "tls", Promise<Verdict>>} probes */
  async #firstGood(probes) {
    const good = RELAYED.map(async (way) => {
      if (!isRelaying(await probes[way])) throw way;
      if (way !== "udp") await Promise.race([probes.udp, sleep(this.#clock, UDP_WITHIN)]);
      return way;
    });
    const first = await Promise.any(good).catch(() => null);
    // They may have become known at the same moment.
    const udp = first && (await Promise.race([probes.udp, sleep(this.#clock, 0)]));
    return udp && isRelaying(udp) ? "udp" : first;
  }

  /** @returns {Promise<Verdict>} */
  async #probeRooms() {
    const { hasOpened, ...verdict } = await this.#knock();
    if (verdict.outcome !== "refused" || hasOpened) return verdict;
    // Browsers do not tell a page why a socket does not open.
    const why = understand(await this.#askDoor(), this.#origin);
    return why.reason === "silent" ? verdict : { ...verdict, outcome: why.reason, why };
  }

  /** @returns {Promise<import("./probe.js").Verdict & { hasOpened: boolean }>} */
  #knock() {
    const begun = this.#clock.now();
    const url = this.#socketUrl;
    let hasOpened = false;
    return new Promise((resolve) => {
      const socket = new this.#WebSocket(url, "signal.v1");
      const done = (/** @type {"ok" | "refused" | "silent"} */ outcome, detail = "") => {
        cancel();
        socket.onmessage = socket.onclose = null;
        socket.close();
        resolve({ outcome, ms: this.#clock.now() - begun, url, address: "", detail, hasOpened });
      };
      const cancel = this.#clock.after(PATIENCE, () => done("silent"));
      socket.onopen = () => {
        hasOpened = true;
        socket.send(JSON.stringify({ t: "hello", v: [1] }));
      };
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        done(frame.t === "welcome" ? "ok" : "refused", frame.code);
      };
      socket.onclose = ({ code, reason }) => done("refused", `${code} ${reason}`.trim());
    });
  }
}

/** @param {Verdict} verdict */
function isRelaying({ outcome }) {
  return outcome === "ok" || outcome === "literal";
}

/** @typedef {{ server: RTCIceServer, url: string }} Target */

/**
 * Which URL is which way.
 * @param {RTCIceServer[]} servers
 * @returns {Record<"first" | "byAddress", Partial<Record<Way, Target>>>}  `byAddress` is a second one, by the relay's address
 */
export function targets(servers) {
  /** @type {Record<"first" | "byAddress", Partial<Record<Way, Target>>>} */
  const found = { first: {}, byAddress: {} };
  for (const server of servers) {
    for (const url of [server.urls].flat()) {
      const way = wayOf(url);
      const isSecond = isLiteral(url) && found.first[way];
      found[isSecond ? "byAddress" : "first"][way] ??= { server, url };
    }
  }
  return found;
}

/** @param {string} url @returns {Way} */
function wayOf(url) {
  if (url.startsWith("stun")) return "stun";
  if (url.startsWith("turns:")) return "tls";
  return url.includes("transport=tcp") ? "tcp" : "udp";
}
