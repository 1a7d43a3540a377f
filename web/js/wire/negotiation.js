// @ts-check
/** Perfect negotiation: either side may offer at any time, and both end up with the same session. */

import { Bucket } from "./bucket.js";
import { askForQuiet } from "./opus.js";
import { CANDIDATES_MAX } from "./protocol.js";

/** @typedef {import("./protocol.js").Content} Content */

/** Candidates that wait for a description. An honest member sends fewer; further ones are dropped. */
export const EARLY_MAX = 256;
/** Offers that the other side may make. Each offer can make us gather candidates again, which costs allocations. */
const OFFERS = { burst: 5, perSecond: 1 };
/** Candidates found within this many milliseconds are sent together; the machine's own are all found at once. */
const GATHER = { first: 5, later: 40 };

/**
 * Perfect negotiation, the pattern of the WebRTC specification (§10.7) and webrtc/samples. When both offer at once, the
 * polite side rolls its offer back (`setRemoteDescription` does so implicitly), and the impolite side ignores the other's.
 */
export class Negotiation {
  #pc;
  #polite;
  #send;
  #accept;
  #fail;
  #doubt;
  #clock;

  #makingOffer = false;
  #ignoreOffer = false;
  /** An answer is being applied: the state is not stable yet, but an offer may be taken after it. */
  #srdAnswerPending = false;
  /** Candidates received before their description. @type {(RTCIceCandidateInit | null)[]} */
  #early = [];
  /** @type {(RTCIceCandidateInit | null)[]} */
  #found = [];
  #hasFound = false;
  #isOver = false;
  #offers;
  /** What waits, and an offer first, while the other side offers too often. @type {Content[] | null} */
  #held = null;
  #cancelFlush = () => {};

  /**
   * @param {object} parts
   * @param {RTCPeerConnection} parts.pc
   * @param {boolean} parts.polite
   * @param {(content: Content) => void} parts.send
   * @param {() => void} parts.accept  called before an offer is answered: the tracks to send must be in place by then
   * @param {() => void} parts.fail  the two sides do not fit together any more
   * @param {() => void} parts.doubt  a candidate was of no use; others may be
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ pc, polite, send, accept, fail, doubt, clock }) {
    this.#pc = pc;
    this.#polite = polite;
    this.#send = send;
    this.#accept = accept;
    this.#fail = fail;
    this.#doubt = doubt;
    this.#clock = clock;
    this.#offers = new Bucket(OFFERS, clock);
    pc.onnegotiationneeded = () => this.offer();
    pc.onicecandidate = ({ candidate }) => this.#gather(candidate);
  }

  /** @param {Content} content */
  async hear(content) {
    if (this.#held) return this.#hold(content);
    if (isOffer(content) && !this.#offers.take()) {
      this.#held = [content];
      this.#clock.after(this.#offers.wait, () => this.#release());
      return;
    }
    await this.#take(content);
  }

  /** Of several offers the last is what the other side wants. @param {Content} content */
  #hold(content) {
    const held = this.#held ?? [];
    if (isOffer(content)) this.#held = [...held.filter(isAnswer), content];
    else if (held.length < EARLY_MAX) held.push(content);
  }

  async #release() {
    const held = this.#held ?? [];
    this.#held = null;
    if (this.#isOver) return;
    this.#offers.take();
    for (const content of held) await this.#take(content);
  }

  /** @param {Content} content */
  async #take(content) {
    try {
      if ("d" in content) await this.#describe(content.d);
      else for (const candidate of content.c) await this.#add(candidate);
    } catch {
      if (this.#pc.signalingState !== "closed") this.#fail();
    }
  }

  close() {
    this.#isOver = true;
    this.#cancelFlush();
    this.#pc.onnegotiationneeded = this.#pc.onicecandidate = null;
  }

  /** Offers what is to be sent and received. The browser asks for it, too, and later. */
  async offer() {
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#tell();
    } catch {
      if (this.#pc.signalingState !== "closed") this.#fail();
    } finally {
      this.#makingOffer = false;
    }
  }

  /** @param {import("./protocol.js").Description} description */
  async #describe(description) {
    const pc = this.#pc;
    const stable =
      pc.signalingState === "stable" || (pc.signalingState === "have-local-offer" && this.#srdAnswerPending);
    this.#ignoreOffer =
      description.type === "offer" && !this.#polite && (this.#makingOffer || !stable);
    if (this.#ignoreOffer) return;
    this.#srdAnswerPending = description.type === "answer";
    try {
      await pc.setRemoteDescription(description);
    } finally {
      this.#srdAnswerPending = false;
    }
    if (description.type === "offer") {
      this.#accept();
      await pc.setLocalDescription();
      this.#tell();
    }
    for (const candidate of this.#early.splice(0)) await this.#add(candidate);
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #add(candidate) {
    if (!this.#pc.remoteDescription) {
      if (this.#early.length < EARLY_MAX) this.#early.push(candidate);
      return;
    }
    try {
      // Without an argument it means "no more candidates"; Safari does not accept null.
      await (candidate ? this.#pc.addIceCandidate(candidate) : this.#pc.addIceCandidate());
    } catch {
      // What belongs to an offer that was ignored must fail.
      if (!this.#ignoreOffer) this.#doubt();
    }
  }

  #tell() {
    const description = this.#pc.localDescription;
    // Another connection may have its number by now.
    if (description && !this.#isOver) this.#send({ d: { type: description.type, sdp: askForQuiet(description.sdp) } });
  }

  /** @param {RTCIceCandidate | null} candidate */
  #gather(candidate) {
    const wait = this.#hasFound ? GATHER.later : GATHER.first;
    this.#hasFound = true;
    if (this.#found.length === 0) this.#cancelFlush = this.#clock.after(wait, () => this.#flush());
    this.#found.push(candidate?.toJSON() ?? null);
  }

  #flush() {
    while (this.#found.length > 0) this.#send({ c: this.#found.splice(0, CANDIDATES_MAX) });
  }
}

/** @param {Content} content */
function isOffer(content) {
  return "d" in content && content.d.type === "offer";
}

/** @param {Content} content */
function isAnswer(content) {
  return "d" in content && content.d.type === "answer";
}
