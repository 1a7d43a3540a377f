// @ts-check
/** Decides what is sent to each member: sound first, and pictures as large as the member shows them and as all ways together carry. */

import { cameraEncoding, screenEncoding, share, stepFor, wanted } from "./budget.js";
import { Emitter } from "./emitter.js";
import { Pace } from "./pace.js";

/** @typedef {import("./room.js").Member} Member */
/** What a member shows of us: pixels on the shorter side of each picture, and 0 for what is not seen. @typedef {{ camera: number, screen: number }} Shown */
/**
 * One member: what it shows of us and what we show of it, how much the way carries, and what is sent.
 * @typedef {{ shown: Shown | null, showing: Shown, pace: Pace, isSlow: boolean, connectedAt: number | null, size: number, isPaused: boolean, isPausedByThem: boolean }} Way
 */

/** For all pictures together, bit/s. More would be taken from whoever else uses the line, and cost more processor than it shows. */
const TOTAL = { usual: 2_500_000, sharing: 3_500_000, saving: 500_000 };
/** Until a member says how large it shows us: as large as one can in a call of two, and in a larger one as usual. */
const UNKNOWN = { alone: { camera: 720, screen: 720 }, among: { camera: 360, screen: 720 } };
/** Who saves data shows pictures no larger, either. */
const SAVED_SIZE = 180;
/** The processor does not keep up: so much less until it does, but not less than that. */
const EFFORT = { less: 0.8, more: 1.05, least: 0.2, every: 4_000 };
/** Of the sound, bit/s: a voice, music or a shared film, and for who saves data. */
const VOICE = 32_000;
const MUSIC = 96_000;
const FRUGAL = 20_000;
/** A copy of each packet of sound doubles it: for so many others at most, and where pictures have so many bits. */
const REPEATED = 4;
const SPARE = 150_000;
/** Until a picture has begun, in milliseconds. */
const FIRST_PICTURE = 2_000;

/**
 * Pages tell each other over the data channel: `shows`, how large one shows the other's pictures, and `sends`, whether one
 * sends the camera's at all.
 *
 * @extends {Emitter<{ paused: [boolean], changed: [Member] }>}
 */
export class Uplink extends Emitter {
  /** Whether the user wants to spend little. */
  isSaving = false;
  #room;
  #media;
  #conversation;
  #clock;
  /** @type {Map<string, Way>} */
  #ways = new Map();
  #effort = 1;
  #effortAt = 0;
  #isPaused = false;
  /** What was set last, to set only what is new. @type {WeakMap<RTCRtpSender, string>} */
  #set = new WeakMap();

  /**
   * @param {object} parts
   * @param {import("./room.js").Room} parts.room
   * @param {Pick<import("./media.js").Media, "tracks" | "screenHasSound" | "isMusic" | "on">} parts.media
   * @param {import("./conversation.js").Conversation} parts.conversation
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ room, media, conversation, clock }) {
    super();
    this.#room = room;
    this.#media = media;
    this.#conversation = conversation;
    this.#clock = clock;
    room.on("came", ({ id, peer }) => {
      const showing = { camera: 0, screen: 0 };
      this.#ways.set(id, { shown: null, showing, pace: new Pace(clock), isSlow: false, connectedAt: null, size: 0, isPaused: false, isPausedByThem: false });
      // Before the first picture is encoded: another size would begin it anew.
      peer.on("senders", () => this.adjust());
      peer.on("state", (state) => this.#connected(id, state));
    });
    room.on("left", ({ id }) => this.#ways.delete(id));
    media.on("track", () => this.adjust());
    conversation.on("note", (member, note) => this.#told(member, note));
    conversation.on("open", ({ id }) => this.#tell(id, "shows", "sends"));
  }

  /** Whether this member sends no picture, to keep the sound. @param {string} id */
  isPausedBy(id) {
    return this.#ways.get(id)?.isPausedByThem === true;
  }

  /** How large this page shows the pictures of a member. @param {string} id @param {Shown} pixels */
  show(id, { camera, screen }) {
    const way = this.#ways.get(id);
    const most = this.isSaving ? SAVED_SIZE : Infinity;
    const showing = { camera: inSteps(Math.min(camera, most)), screen: inSteps(screen) };
    if (!way || (way.showing.camera === showing.camera && way.showing.screen === showing.screen)) return;
    way.showing = showing;
    this.#tell(id, "shows");
  }

  /** @param {boolean} on */
  save(on) {
    this.isSaving = on;
    this.adjust();
  }

  /** What the connection with a member has reported in the last second. @param {string} id @param {import("./stats.js").Reading} reading */
  saw(id, { out, rtt, path }) {
    const way = this.#ways.get(id);
    if (!way) return;
    way.pace.see({ loss: out.loss, rtt, way: `${path?.local} ${path?.remoteAddress}` }, out.video);
    way.isSlow = out.isSlow;
  }

  /** Once a second, after all connections were seen. */
  tick() {
    const ways = [...this.#ways.values()];
    this.#strain(2 * ways.filter(({ isSlow }) => isSlow).length > ways.length);
    this.adjust();
  }

  /** Sends what fits, whenever something is new. */
  adjust() {
    const members = [...this.#room.members.values()].filter(({ peer }) => peer.sender("audio"));
    const { tracks } = this.#media;
    const ways = members.map(({ id }) => /** @type {Way} */ (this.#ways.get(id)));
    const unknown = members.length > 1 ? UNKNOWN.among : UNKNOWN.alone;
    const asked = ways.map(({ shown, pace }) => {
      const { camera, screen } = pace.isPaused ? { camera: 0, screen: 0 } : (shown ?? unknown);
      // A small camera's picture is not worth more bits for being shown large.
      const seen = { camera: tracks.video ? Math.min(camera, sizeOf(tracks.video)) : 0, screen: tracks.screen ? screen : 0 };
      return { wanted: wanted(seen), limit: pace.limit };
    });
    const given = share(this.#total(tracks.screen !== null), asked);
    for (const [i, { id, peer }] of members.entries()) this.#send(peer, ways[i], given[i], id);
    this.#announce();
  }

  /** @param {boolean} isSlow  whether the processor does not keep up with most of what is encoded */
  #strain(isSlow) {
    const now = this.#clock.now();
    if (now - this.#effortAt < EFFORT.every) return;
    this.#effortAt = now;
    const factor = isSlow ? EFFORT.less : EFFORT.more;
    this.#effort = Math.min(1, Math.max(EFFORT.least, this.#effort * factor));
  }

  /** @param {boolean} isSharing */
  #total(isSharing) {
    if (this.isSaving) return TOTAL.saving;
    return (isSharing ? TOTAL.sharing : TOTAL.usual) * this.#effort;
  }

  /** @param {import("./peer.js").Peer} peer @param {Way} way @param {import("./budget.js").Rates} rates @param {string} id */
  #send(peer, way, rates, id) {
    const { tracks } = this.#media;
    const { size, ...encoding } = cameraEncoding(rates.camera, sizeOf(tracks.video), way.size);
    way.size = encoding.active ? size : 0;
    this.#apply(peer.sender("audio"), { active: true, maxBitrate: this.#voice, priority: "high", networkPriority: "high" }, {
      codec: this.#mayRepeat(way) ? "audio/red" : "audio/opus",
    });
    if (!this.#isBeginning(peer, way)) this.#apply(peer.sender("video"), { ...encoding, priority: "low", networkPriority: "low" }, { preference: "maintain-framerate" });
    this.#apply(peer.sender("screen"), { ...screenEncoding(rates.screen), priority: "medium", networkPriority: "low" }, { preference: "maintain-resolution" });
    if (way.isPaused === way.pace.isPaused) return;
    way.isPaused = way.pace.isPaused;
    this.#tell(id, "sends");
  }

  /** @param {string} id @param {...("shows" | "sends")} what */
  #tell(id, ...what) {
    const way = this.#ways.get(id);
    if (!way) return;
    for (const t of what) this.#conversation.tell(t === "shows" ? { t, ...way.showing } : { t, camera: !way.isPaused }, id);
  }

  /** @param {Member} member @param {import("./conversation.js").OtherNote} note */
  #told(member, { t, camera, screen }) {
    const way = this.#ways.get(member.id);
    if (way && t === "shows" && isSize(camera) && isSize(screen)) {
      way.shown = { camera, screen };
      this.adjust();
    }
    if (way && t === "sends" && typeof camera === "boolean") {
      way.isPausedByThem = !camera;
      this.emit("changed", member);
    }
  }

  /** @param {string} id @param {RTCPeerConnectionState} state */
  #connected(id, state) {
    const way = this.#ways.get(id);
    if (!way || state !== "connected") return;
    way.connectedAt ??= this.#clock.now();
    this.adjust();
  }

  /** Whether the first picture is on its way: nothing about it is changed meanwhile. @param {import("./peer.js").Peer} peer @param {Way} way */
  #isBeginning(peer, { connectedAt }) {
    if (connectedAt !== null && this.#clock.now() >= connectedAt + FIRST_PICTURE) return false;
    const [first] = peer.sender("video")?.getParameters?.().encodings ?? [];
    return first?.active === true && first.maxBitrate !== undefined;
  }

  /** bit/s */
  get #voice() {
    if (this.isSaving) return FRUGAL;
    return this.#media.screenHasSound || this.#media.isMusic ? MUSIC : VOICE;
  }

  /** Whether there are bits for a copy of each packet of sound. @param {Way} way */
  #mayRepeat({ pace }) {
    return !this.isSaving && this.#ways.size <= REPEATED && pace.limit >= SPARE;
  }

  /**
   * @param {RTCRtpSender | undefined} sender
   * @param {RTCRtpEncodingParameters} encoding
   * @param {{ codec?: string, preference?: RTCDegradationPreference }} more
   */
  async #apply(sender, encoding, { codec, preference }) {
    const wish = JSON.stringify([encoding, codec]);
    // To ask for the parameters is to wait for the thread of the connection.
    if (!sender?.getParameters || this.#set.get(sender) === wish) return;
    const parameters = sender.getParameters();
    const [first] = parameters.encodings ?? [];
    // There is a choice of codecs once both sides have agreed.
    const done = parameters.codecs.length > 0 ? wish : `early ${wish}`;
    if (!first || this.#set.get(sender) === done) return;
    this.#set.set(sender, done);
    const known = parameters.codecs.find(({ mimeType }) => mimeType.toLowerCase() === codec);
    Object.assign(first, encoding, known && { codec: known });
    if (preference) parameters.degradationPreference = preference;
    await sender.setParameters(parameters).catch(() => this.#set.delete(sender));
  }

  #announce() {
    const isPaused = [...this.#ways.values()].some((way) => way.isPaused);
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.emit("paused", isPaused);
  }
}

/** Only what makes a difference is told. @param {number} pixels */
function inSteps(pixels) {
  return pixels > 0 ? stepFor(pixels).size : 0;
}

/** @param {unknown} pixels @returns {pixels is number} */
function isSize(pixels) {
  return typeof pixels === "number" && pixels >= 0;
}

/** Of what is captured, the shorter side. @param {MediaStreamTrack | null} track */
function sizeOf(track) {
  const { width = 0, height = 0 } = track?.getSettings?.() ?? {};
  return Math.min(width, height) || UNKNOWN.alone.camera;
}
