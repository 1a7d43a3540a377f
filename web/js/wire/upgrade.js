// @ts-check
/** Tries once more for UDP where a connection began without it: browsers look for a better way only when they are told to. */

/** @typedef {import("./room.js").Member} Member */

/** By then whatever kept UDP away at the start may have passed, and the call has settled. */
const AFTER = 20_000;
/** If both sides are without UDP, one restart serves both: the other side waits for it. */
const OTHER_SIDE = 15_000;
const WITHOUT_UDP = new Set(["relay/tcp", "relay/tls"]);

export class Upgrade {
  #room;
  #clock;
  /** When each connection is to be tried again, and Infinity once it was. @type {Map<string, number>} */
  #due = new Map();

  /** @param {import("./room.js").Room} room @param {import("./clock.js").Clock} clock */
  constructor(room, clock) {
    this.#room = room;
    this.#clock = clock;
    room.on("left", ({ id }) => this.#due.delete(id));
  }

  /** @param {Member} member @param {import("./stats.js").Path | null} path  in use now */
  saw({ id, peer }, path) {
    if (!path || !WITHOUT_UDP.has(path.local) || !this.#room.offersUdp) return;
    const now = this.#clock.now();
    const due = this.#due.get(id) ?? now + AFTER + (peer.isPolite ? 0 : OTHER_SIDE);
    this.#due.set(id, due);
    if (now < due || peer.state !== "connected") return;
    this.#due.set(id, Infinity);
    peer.restart();
  }
}
