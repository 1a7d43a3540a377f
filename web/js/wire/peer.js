// @ts-check
/** One other member: the connection with it, rebuilt when nothing else helps. */

import { Bucket } from "./bucket.js";
import { within } from "./clock.js";
import { Emitter } from "./emitter.js";
import { EARLY_MAX, Negotiation } from "./negotiation.js";
import { OFFER_RELAY_AFTER, REBUILD_AFTER, Recovery } from "./recovery.js";

/** @typedef {import("./protocol.js").Content} Content */
/** Microphone, camera and shared screen. @typedef {"audio" | "video" | "screen"} Kind */
/** @typedef {Record<Kind, MediaStreamTrack | null>} Tracks */
/** Codecs in the order in which they are offered. @typedef {Record<"audio" | "video", RTCRtpCodec[]>} Preferences */

/** In the order of their m-lines. @type {Kind[]} */
export const KINDS = ["audio", "video", "screen"];
/** Fresh credentials are worth waiting for, but not longer. */
const FRESH_WITHIN = 2_000;
/** How often the other side may begin a new epoch. Further epochs wait, and only the newest of them is built. */
const EPOCHS = { burst: 2, perSecond: 1 };
/** The next epoch is at most this much higher; a working connection is not discarded for a higher one. */
const AHEAD = 2;

/**
 * There are three transceivers from the start: audio, camera and screen. Switching the camera or sharing the screen is then
 * a `replaceTrack`, and needs no negotiation. A client that takes no second video gets the screen in place of the camera.
 *
 * Each `RTCPeerConnection` of the pair has a number, the epoch. The side that builds a connection counts it up: the polite
 * side in odd numbers, the other in even ones. So only one side begins each epoch, and if both begin at once, both use the
 * higher epoch. Signals of an older epoch belong to a discarded connection. A number that was never sent is used again,
 * so that neither side ever sees one that is far ahead.
 *
 * @extends {Emitter<{ track: [Kind, MediaStreamTrack], state: [RTCPeerConnectionState], channel: [RTCDataChannel], senders: [], struggling: [], barren: [] }>}
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
  #codecs;

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
  /** A server has given this client an address. */
  #isServed = false;
  /** @type {Partial<Record<Kind, RTCRtpTransceiver>>} */
  #transceivers = {};

  /**
   * @param {object} parts
   * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
   * @param {boolean} parts.polite
   * @param {(e: number, content: Content) => void} parts.send
   * @param {() => RTCConfiguration} parts.configuration  as it is now
   * @param {() => Promise<void>} parts.refresh  fetches fresh credentials into the configuration
   * @param {Tracks} parts.tracks
   * @param {MediaStream} [parts.stream]
   * @param {Preferences} [parts.codecs]
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ RTCPeerConnection, polite, send, configuration, refresh, tracks, stream, codecs, clock }) {
    super();
    this.#RTCPeerConnection = RTCPeerConnection;
    this.#polite = polite;
    this.#send = send;
    this.#configuration = configuration;
    this.#refresh = refresh;
    this.#tracks = { ...tracks };
    this.#stream = stream;
    this.#codecs = codecs;
    this.#clock = clock;
    this.#epochs = new Bucket(EPOCHS, clock);
    this.#recovery = new Recovery({ restart: (failures) => this.#recover(failures), clock });
  }

  /** Whether this side gives way when both offer at once. */
  get isPolite() {
    return this.#polite;
  }

  /** Builds a connection and offers it. @returns {Promise<void>}  until the offer is made */
  async start() {
    const next = this.#newest + 1;
    const isOurs = next % 2 === (this.#polite ? 1 : 0);
    const pc = this.#build(isOurs ? next : next + 1);
    for (const kind of KINDS) {
      // Browsers play one picture of a stream in step with its sound, and that is the camera's.
      const streams = this.#stream && kind !== "screen" ? [this.#stream] : [];
      this.#use(kind, pc.addTransceiver(mediaOf(kind), { direction: "sendrecv", streams }));
    }
    this.#openChannel(pc);
    // The browser asks for it later.
    await this.#negotiation?.offer();
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
    await this.#feed(kind === "screen" && !this.#takesScreen ? "video" : kind);
  }

  /** What sends this kind at the moment. @param {Kind} kind @returns {RTCRtpSender | undefined} */
  sender(kind) {
    return this.#transceivers[kind]?.sender;
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
    if (this.state !== "closed" && isCurrent) await this.start();
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
    else this.restart();
  }

  /** Finds another way, with fresh credentials; if there still is a way, media flows on meanwhile. */
  async restart() {
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
    this.#transceivers = {};
    this.#negotiation = new Negotiation({
      pc,
      polite: this.#polite,
      send: (content) => {
        if ("c" in content) this.#gathered(content.c);
        this.#newest = Math.max(this.#newest, epoch);
        this.#send(epoch, content);
        if ("d" in content) this.emit("senders");
      },
      accept: () => this.#adopt(pc),
      fail: () => this.#recovery.giveUp(),
      doubt: () => this.#recovery.doubt(),
      clock: this.#clock,
    });
    pc.ontrack = ({ transceiver, track }) => {
      const kind = KINDS.find((kind) => shared(pc, kind) === transceiver);
      if (kind) this.emit("track", kind, track);
    };
    pc.onconnectionstatechange = () => this.#become(pc.connectionState);
    this.#become("new");
    return pc;
  }

  /** No server has answered, under any of its names. @param {(RTCIceCandidateInit | null)[]} candidates  the last is null */
  #gathered(candidates) {
    this.#isServed ||= candidates.some((it) => / typ (srflx|relay)/.test(it?.candidate ?? ""));
    if (!this.#isServed && candidates.includes(null)) this.emit("barren");
  }

  /**
   * Sends on the transceivers that the other side's offer brought.
   * @param {RTCPeerConnection} pc
   */
  #adopt(pc) {
    for (const kind of KINDS) {
      const transceiver = shared(pc, kind);
      if (!transceiver || this.#transceivers[kind] === transceiver) continue;
      transceiver.direction = "sendrecv";
      if (this.#stream && kind !== "screen") transceiver.sender.setStreams?.(this.#stream);
      this.#use(kind, transceiver);
    }
    if (!this.#takesScreen) this.#feed("video");
    if (!this.channel) this.#openChannel(pc);
  }

  /**
   * @param {Kind} kind
   * @param {RTCRtpTransceiver} transceiver
   */
  #use(kind, transceiver) {
    this.#transceivers[kind] = transceiver;
    if (this.#codecs) transceiver.setCodecPreferences?.(this.#codecs[mediaOf(kind)]);
    this.#feed(kind);
  }

  /** Sends the track of this kind. @param {Kind} kind */
  async #feed(kind) {
    const { [kind]: track, screen } = this.#tracks;
    const sent = kind === "video" && !this.#takesScreen ? (screen ?? track) : track;
    await this.sender(kind)?.replaceTrack(sent).catch(() => {});
  }

  /** Whether the other side takes a screen beside the camera; assumed until it has answered. */
  get #takesScreen() {
    const { screen } = this.#transceivers;
    return screen !== undefined && (screen.currentDirection?.startsWith("send") ?? true);
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
    // The answer says whether there is a place for the screen.
    if (state === "connected" && !this.#takesScreen) this.#feed("video");
    this.#recovery.see(state);
    this.emit("state", state);
  }
}

/** @param {Kind} kind @returns {"audio" | "video"} */
function mediaOf(kind) {
  return kind === "audio" ? "audio" : "video";
}

/** The transceiver that both sides use for this kind: of those for video, the first is the camera's. @param {RTCPeerConnection} pc @param {Kind} kind */
function shared(pc, kind) {
  const media = mediaOf(kind);
  const fitting = pc.getTransceivers().filter(({ mid, receiver }) => mid !== null && receiver.track.kind === media);
  return fitting[kind === "screen" ? 1 : 0];
}
