// @ts-check
/** Looks at all connections: once a second how good they are, more often who is speaking. */

import { quality } from "../wire/quality.js";
import { History } from "../wire/stats.js";

/** @typedef {import("../wire/room.js").Member} Member */
/** @typedef {import("../wire/quality.js").Quality} Quality */

const EVERY = 1_000;
const LISTEN_EVERY = 250;
/** A pause for breath does not end speaking. */
const SPEAKING_FOR = 600;
const SPEAKING_FROM = 0.02;

export class Meter {
  /** @type {Map<string, History>} */
  histories = new Map();
  #members;
  #spoke = new Map();
  #timers;

  /**
   * @param {object} parts
   * @param {() => Iterable<Member>} parts.members
   * @param {(member: Member, quality: Quality) => void} parts.measured
   * @param {() => void} parts.done  all are measured
   * @param {(id: string, isSpeaking: boolean) => void} parts.heard
   */
  constructor({ members, measured, done, heard }) {
    this.#members = members;
    this.#timers = [
      setInterval(() => this.#measure(measured).then(done), EVERY),
      setInterval(() => this.#listen(heard), LISTEN_EVERY),
    ];
  }

  /** @param {string} id */
  history(id) {
    const history = this.histories.get(id) ?? new History();
    this.histories.set(id, history);
    return history;
  }

  /** @param {Member} member @returns {Quality} */
  quality({ id, peer }) {
    return quality(peer.state, this.history(id).readings);
  }

  close() {
    this.#timers.forEach(clearInterval);
  }

  /** @param {(member: Member, quality: Quality) => void} measured */
  async #measure(measured) {
    for (const member of this.#members()) {
      const report = await member.peer.pc?.getStats().catch(() => null);
      if (report) this.history(member.id).add(/** @type {any} */ (report));
      measured(member, this.quality(member));
    }
  }

  /** @param {(id: string, isSpeaking: boolean) => void} heard */
  #listen(heard) {
    const now = performance.now();
    for (const { id, peer, state } of this.#members()) {
      const mayBeHeard = peer.state === "connected" && (state.mic || state.unsaid === true);
      // To ask for the level is to wait for the thread of the connection.
      const receiver = mayBeHeard ? peer.pc?.getReceivers().find(({ track }) => track.kind === "audio") : null;
      const level = receiver?.getSynchronizationSources()[0]?.audioLevel ?? 0;
      if (level > SPEAKING_FROM) this.#spoke.set(id, now);
      heard(id, mayBeHeard && now - (this.#spoke.get(id) ?? -Infinity) < SPEAKING_FOR);
    }
  }
}
