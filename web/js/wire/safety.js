// @ts-check
/** Safety numbers: what both ends of a connection compute, and what differs if anybody stands between them. */

import { Bucket } from "./bucket.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./room.js").Member} Member */
/** Bytes, each of which is shown as one sign, and groups of digits. @typedef {{ signs: number[], digits: string[] }} SafetyNumber */
/** `changed`: not the keys that this member had before. `broken`: somebody has given other secrets than announced. @typedef {"none" | "known" | "changed" | "broken"} Standing */

/**
 * Two fingerprints, and what both sides have added.
 * @typedef {object} Pair
 * @property {string} ours
 * @property {string} theirs
 * @property {string} secret  ours
 * @property {string} [promise]  the hash of the other's secret, which it cannot change any more
 * @property {SafetyNumber} [number]
 * @property {boolean} [isBroken]
 */

/** @typedef {{ pair: Pair, isChanged: boolean, isPromised: Promise<void>, welcome: Bucket }} Tie */

/** @typedef {import("./conversation.js").OtherNote} Note */

const LABEL = "hairpin safety number 1";
/** One sign is one of 256. */
const SIGNS = 4;
const GROUPS = 6;
/** How many notes of one member are read. */
const NOTES = { burst: 20, perSecond: 1 };
/** Notes that are kept until the keys are known. */
const EARLY_MAX = 4;
/** Pairs that are remembered, so that a connection that is built anew has the number of the one before. */
const PAIRS_MAX = 64;

/**
 * Fingerprints alone would be compared by four signs: 32 bits, and somebody in between could try keys at home until the signs
 * of both victims agree. So each side adds a secret, and first promises it by its hash. It shows the secret only when it has the
 * other's promise. Whoever is in between has to promise towards both before knowing the secret of either, and has one guess.
 *
 * @extends {Emitter<{ changed: [Member] }>}
 */
export class Safety extends Emitter {
  #conversation;
  #subtle;
  #random;
  #clock;
  /** @type {Map<string, Pair>} */
  #pairs = new Map();
  /** @type {Map<string, Tie>} */
  #ties = new Map();
  /** By the member's id. @type {Map<string, Note[]>} */
  #early = new Map();

  /**
   * @param {object} parts
   * @param {import("./room.js").Room} parts.room
   * @param {import("./conversation.js").Conversation} parts.conversation
   * @param {SubtleCrypto | undefined} parts.subtle  a page that is not secure has none, and so no numbers
   * @param {(bytes: Uint8Array<ArrayBuffer>) => Uint8Array} parts.random  fills them
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ room, conversation, subtle, random, clock }) {
    super();
    this.#conversation = conversation;
    this.#subtle = subtle;
    this.#random = random;
    this.#clock = clock;
    if (!subtle) return;
    conversation.on("open", (member) => this.#begin(member));
    conversation.on("note", (member, note) => {
      if (note.t === "promise" || note.t === "secret") this.#hear(member, note);
    });
    room.on("left", ({ id }) => {
      this.#ties.delete(id);
      this.#early.delete(id);
    });
  }

  /** @param {string} id @returns {{ standing: Standing, number?: SafetyNumber }} */
  of(id) {
    const tie = this.#ties.get(id);
    const number = tie?.pair.number;
    if (tie?.pair.isBroken) return { standing: "broken" };
    if (tie?.isChanged) return { standing: "changed", number };
    return number ? { standing: "known", number } : { standing: "none" };
  }

  /** To be called every now and then. A connection may get other keys while it lasts; then it has another number. @param {Member} member */
  check(member) {
    if (!this.#subtle) return;
    const pair = this.#ties.get(member.id)?.pair;
    const prints = printsOf(member.peer.pc);
    if (prints && (pair?.ours !== prints.ours || pair.theirs !== prints.theirs)) this.#begin(member);
  }

  /** @param {Member} member */
  #begin(member) {
    const prints = printsOf(member.peer.pc);
    if (!prints) return;
    const before = this.#ties.get(member.id);
    const pair = this.#pair(prints);
    const isOther = before !== undefined && before.pair !== pair;
    const isChanged = isOther || before?.isChanged === true;
    const welcome = before?.welcome ?? new Bucket(NOTES, this.#clock);
    this.#ties.set(member.id, { pair, isChanged, welcome, isPromised: this.#promise(member, pair) });
    if (isOther) this.emit("changed", member);
    const early = this.#early.get(member.id) ?? [];
    this.#early.delete(member.id);
    for (const note of early) this.#hear(member, note);
  }

  /** @param {Member} member @param {Pair} pair */
  async #promise({ id }, { ours, secret }) {
    this.#conversation.tell({ t: "promise", hash: await this.#hash("promise", ours, secret) }, id);
  }

  /** @param {Member} member @param {Note} note */
  #hear(member, note) {
    // Where it has offered, Chromium may open the channel before it says what was answered.
    if (!printsOf(member.peer.pc)) return this.#keep(member.id, note);
    this.check(member);
    const tie = this.#ties.get(member.id);
    if (!tie?.welcome.take()) return;
    if (note.t === "promise") this.#promised(member, tie, note.hash);
    else this.#shown(member, tie.pair, note.secret);
  }

  /** @param {string} id @param {Note} note */
  #keep(id, note) {
    const early = this.#early.get(id) ?? [];
    if (early.length < EARLY_MAX) this.#early.set(id, [...early, note]);
  }

  /** @param {Member} member @param {Tie} tie @param {unknown} hash */
  async #promised(member, tie, hash) {
    if (!isHex(hash)) return;
    const { pair } = tie;
    pair.promise ??= hash;
    if (pair.promise !== hash) return this.#break(member, pair);
    await tie.isPromised;
    this.#conversation.tell({ t: "secret", secret: pair.secret }, member.id);
  }

  /** @param {Member} member @param {Pair} pair @param {unknown} secret */
  async #shown(member, pair, secret) {
    if (!pair.promise || !isHex(secret)) return;
    if ((await this.#hash("promise", pair.theirs, secret)) !== pair.promise) return this.#break(member, pair);
    // Both sides have the same order.
    const ends = [[pair.ours, pair.secret], [pair.theirs, secret]].sort(([a], [b]) => (a < b ? -1 : 1));
    pair.number = numberOf(await this.#hash("number", ...ends.flat()));
    this.emit("changed", member);
  }

  /** @param {Member} member @param {Pair} pair */
  #break(member, pair) {
    pair.isBroken = true;
    this.emit("changed", member);
  }

  /**
   * The same two fingerprints have the same secrets, for as long as the page lives: both ends have proved that they own them.
   * @param {{ ours: string, theirs: string }} prints
   */
  #pair({ ours, theirs }) {
    const name = `${ours} ${theirs}`;
    const known = this.#pairs.get(name);
    if (known) return known;
    const pair = { ours, theirs, secret: hex(this.#random(new Uint8Array(32))) };
    this.#pairs.set(name, pair);
    const [oldest] = this.#pairs.keys();
    if (this.#pairs.size > PAIRS_MAX) this.#pairs.delete(oldest);
    return pair;
  }

  /** @param {...string} parts */
  async #hash(...parts) {
    const text = new TextEncoder().encode([LABEL, ...parts].join("\n"));
    const { digest } = /** @type {SubtleCrypto} */ (this.#subtle);
    return hex(new Uint8Array(await digest.call(this.#subtle, "SHA-256", text)));
  }
}

/**
 * The fingerprints of both ends, in writing that does not depend on the browser.
 * @param {RTCPeerConnection | null} pc
 * @returns {{ ours: string, theirs: string } | null}
 */
export function printsOf(pc) {
  const [ours, theirs] = [prints(pc?.localDescription?.sdp), prints(pc?.remoteDescription?.sdp)];
  return ours && theirs && ours !== theirs ? { ours, theirs } : null;
}

/** @param {string} [sdp] */
function prints(sdp = "") {
  const all = [...sdp.matchAll(/^a=fingerprint:(\S+) +(\S+)\s*$/gim)].map(([, kind, value]) => `${kind.toLowerCase()} ${value.toUpperCase()}`);
  return [...new Set(all)].sort().join(",");
}

/** @param {string} hash @returns {SafetyNumber} */
function numberOf(hash) {
  const signs = Array.from({ length: SIGNS }, (_, i) => parseInt(hash.slice(2 * i, 2 * i + 2), 16));
  // What is left of a 32-bit number: the one in 43,000 by which small ones are likelier is nothing.
  const digits = Array.from({ length: GROUPS }, (_, i) => {
    const at = 2 * SIGNS + 8 * i;
    return String(parseInt(hash.slice(at, at + 8), 16) % 100_000).padStart(5, "0");
  });
  return { signs, digits };
}

/** @param {unknown} text @returns {text is string} */
function isHex(text) {
  return typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
