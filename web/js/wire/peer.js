// @ts-check
/** One other member: the connection with it, rebuilt when nothing else helps. */

import { Bucket } from "./bucket.js";
import { within } from "./clock.js";
import { Emitter } from "./emitter.js";
import { EARLY_MAX, Negotiation } from "./negotiation.js";
import { OFFER_RELAY_AFTER, REBUILD_AFTER, Recovery } from "./recovery.js";

/** @typedef {import("./protocol.js").Content} Content */
/** @typedef {"audio" | "video"} Kind */
/** @typedef {{ audio: MediaStreamTrack | null, video: MediaStreamTrack | null }} Tracks */

/** @type {Kind[]} */
export const KINDS = ["audio", "video"];
/** Fresh credentials are worth waiting for, but not longer. */
const FRESH_WITHIN = 2_000;
/** How often the other side may begin a new epoch. Further epochs wait, and only the newest of them is built. */
const EPOCHS = { burst: 2, perSecond: 1 };
/** The next epoch is at most this much higher; a working connection is not discarded for a higher one. */
const AHEAD = 2;

/**
 * There is one audio and one video transceiver from the start. Switching the camera or sharing the screen is then a
 * `replaceTrack`, and needs no negotiation.
 *
 * Each `RTCPeerConnection` of the pair has a number, the epoch. The side that builds a connection counts it up: the polite
 * side in odd numbers, the other in even ones. So only one side begins each epoch, and if both begin at once, both use the
 * higher epoch. Signals of an older epoch belong to a discarded connection. A number that was never sent is used again,
 * so that neither side ever sees one that is far ahead.
 *
 * @extends {Emitter<{ track: [MediaStreamTrack], state: [RTCPeerConnectionState], channel: [RTCDataChannel], struggling: [] }>}
 */
export class Peer extends Emitter {
  /** @type {RTCPeerConnection | null} */
  pc = null;
  /** @type {RTCDataChannel | null} */
  channel = null;
  /** @type {RTCPeerConnectionState} */
  state = "new";

  #RTCPeerConnection;
  #polite;
  #send;
  #configuration;
  #refresh;
  #clock;
  /** @type {Tracks} */
  #tracks;
  /** So that the other side plays sound and picture in step. @type {MediaStream | undefined} */
  #stream;

  #epoch = 0;
  /** The newest epoch that was sent to the other side or received from it. */
  #newest = 0;
  #epochs;
  /** Signals received for an epoch that may not be built yet. @type {{ epoch: number, contents: Content[], size: number } | null} */
  #next = null;
  #cancelNext = () => {};
  /** @type {Negotiation | null} */
  #negotiation = null;
  /** @type {Recovery} */
  #recovery;
  /** @type {Partial<Record<Kind, RTCRtpSender>>} */
  #senders = {};

  /**
   * @param {object} parts
   * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
   * @param {boolean} parts.polite
   * @param {(e: number, content: Content) => void} parts.send
   * @param {() => RTCConfiguration} parts.configuration  as it is now
   * @param {() => Promise<void>} parts.refresh  fetches fresh credentials into the configuration
   * @param {Tracks} parts.tracks
   * @param {MediaStream} [parts.stream]
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ RTCPeerConnection, polite, send, configuration, refresh, tracks, stream, clock }) {
    super();
    this.#RTCPeerConnection = RTCPeerConnection;
    this.#polite = polite;
    this.#send = send;
    this.#configuration = configuration;
    this.#refresh = refresh;
    this.#tracks = { ...tracks };
    this.#stream = stream;
    this.#clock = clock;
    this.#epochs = new Bucket(EPOCHS, clock);
    this.#recovery = new Recovery({ restart: (failures) => this.#recover(failures), clock });
  }

  /** Builds a connection and offers it. */
  start() {
    const next = this.#newest + 1;
    const isOurs = next % 2 === (this.#polite ? 1 : 0);
    const pc = this.#build(isOurs ? next : next + 1);
    for (const kind of KINDS) {
      const streams = this.#stream ? [this.#stream] : [];
      const { sender } = pc.addTransceiver(kind, { direction: "sendrecv", streams });
      this.#use(kind, sender);
    }
    this.#openChannel(pc);
  }

  /**
   * @param {number} epoch
   * @param {Content} content
   */
  async hear(epoch, content) {
    const isFar = this.state === "connected" && epoch > this.#newest + AHEAD;
    if (this.state === "closed" || isFar || epoch < Math.max(this.#epoch, this.#newest)) return;
    if (epoch === this.#epoch && this.#negotiation) return this.#negotiation.hear(content);
    this.#newest = epoch;
    const isFirst = !this.#next;
    this.#keep(epoch, content);
    if (isFirst) await this.#buildNext();
  }

  /**
   * Sends another track from now on, or none; nothing is negotiated.
   * @param {Kind} kind
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(kind, track) {
    this.#tracks[kind] = track;
    await this.#senders[kind]?.replaceTrack(track).catch(() => {});
  }

  /**
   * Begins anew with the configuration as it is now. For another transport policy an ICE restart is not enough: Chromium
   * stays on the old pair for as long as that works.
   */
  async rebuild() {
    const [epoch, newest] = [this.#epoch, this.#newest];
    await this.#freshen();
    // The other side may have been faster.
    const isCurrent = this.#epoch === epoch && this.#newest === newest && !this.#next;
    if (this.state !== "closed" && isCurrent) this.start();
  }

  /** The network has changed. */
  networkChanged() {
    this.#recovery.networkChanged();
  }

  close() {
    this.#cancelNext();
    this.#dismantle();
    this.#recovery.close();
    this.#become("closed");
  }

  /** @param {number} failures */
  #recover(failures) {
    if (failures === OFFER_RELAY_AFTER) this.emit("struggling");
    if (failures >= REBUILD_AFTER) this.rebuild();
    else this.#restart();
  }

  /** Finds another way, with fresh credentials; if there still is a way, media flows on meanwhile. */
  async #restart() {
    await this.#freshen();
    if (!this.pc || this.state === "closed") return;
    this.pc.setConfiguration(this.#configuration());
    this.pc.restartIce();
  }

  #freshen() {
    return within(this.#clock, FRESH_WITHIN, this.#refresh(), undefined);
  }

  /** @param {number} epoch @param {Content} content */
  #keep(epoch, content) {
    if (this.#next?.epoch !== epoch) this.#next = { epoch, contents: [], size: 0 };
    const size = "c" in content ? content.c.length : 1;
    if (this.#next.size + size > EARLY_MAX) return;
    this.#next.size += size;
    this.#next.contents.push(content);
  }

  /** Builds what the other side has begun, now or as soon as it may. */
  async #buildNext() {
    if (!this.#next) return;
    if (!this.#epochs.take()) {
      this.#cancelNext = this.#clock.after(this.#epochs.wait, () => this.#buildNext());
      return;
    }
    const { epoch, contents } = this.#next;
    this.#next = null;
    this.#build(epoch);
    await Promise.all(contents.map((content) => this.#negotiation?.hear(content)));
  }

  /**
   * @param {number} epoch
   * @returns {RTCPeerConnection}
   */
  #build(epoch) {
    this.#dismantle();
    this.#epoch = epoch;
    const pc = new this.#RTCPeerConnection(this.#configuration());
    this.pc = pc;
    this.#senders = {};
    this.#negotiation = new Negotiation({
      pc,
      polite: this.#polite,
      send: (content) => {
        this.#newest = Math.max(this.#newest, epoch);
        this.#send(epoch, content);
      },
      accept: () => this.#adopt(pc),
      fail: () => this.#recovery.giveUp(),
      doubt: () => this.#recovery.doubt(),
      clock: this.#clock,
    });
    pc.ontrack = ({ track }) => this.emit("track", track);
    pc.onconnectionstatechange = () => this.#become(pc.connectionState);
    this.#become("new");
    return pc;
  }

  /**
   * Sends on the transceivers that the other side's offer brought.
   * @param {RTCPeerConnection} pc
   */
  #adopt(pc) {
    for (const kind of KINDS) {
      const shared = pc.getTransceivers().find(({ mid, receiver }) => mid !== null && receiver.track.kind === kind);
      if (!shared || this.#senders[kind] === shared.sender) continue;
      shared.direction = "sendrecv";
      if (this.#stream) shared.sender.setStreams?.(this.#stream);
      this.#use(kind, shared.sender);
    }
    if (!this.channel) this.#openChannel(pc);
  }

  /**
   * @param {Kind} kind
   * @param {RTCRtpSender} sender
   */
  #use(kind, sender) {
    this.#senders[kind] = sender;
    sender.replaceTrack(this.#tracks[kind]).catch(() => {});
  }

  /**
   * Both sides know of the channel beforehand, so neither has to announce it.
   * @param {RTCPeerConnection} pc
   */
  #openChannel(pc) {
    const channel = pc.createDataChannel("hairpin", { negotiated: true, id: 0 });
    channel.binaryType = "arraybuffer";
    this.channel = channel;
    channel.onopen = () => this.emit("channel", channel);
  }

  #dismantle() {
    this.#negotiation?.close();
    this.#negotiation = null;
    const { pc, channel } = this;
    if (channel) channel.onopen = null;
    if (pc) {
      pc.ontrack = pc.onconnectionstatechange = null;
      pc.close();
    }
    this.pc = this.channel = null;
  }

  /** @param {RTCPeerConnectionState} state */
  #become(state) {
    this.state = state;
    this.#recovery.see(state);
    this.emit("state", state);
  }
}
