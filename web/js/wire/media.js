// @ts-check
/** This machine's camera, microphone and screen: the tracks that are sent to the others. */

import { Emitter } from "./emitter.js";
import { failure } from "./failure.js";

/** @typedef {import("./failure.js").Failure} Failure */
/** @typedef {import("./peer.js").Kind} Kind */
/** @typedef {{ camera: string, microphone: string }} Choice  device ids; empty for any */

/** Enough to see a face by, and little enough for four at once. */
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * Muting keeps the microphone, so that it is back at once; a camera that is off is let go of, so that its light goes out.
 *
 * @extends {Emitter<{ track: [Kind, MediaStreamTrack | null], changed: [], devices: [] }>}
 */
export class Media extends Emitter {
  /** @type {MediaDeviceInfo[]} */
  devices = [];
  /** Why there is no microphone, or no camera. @type {Record<Kind, Failure | null>} */
  failures = { audio: null, video: null };
  facing = "user";

  #devices;
  /** @type {Choice} */
  #choice;
  /** @type {Record<Kind | "screen", MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null, screen: null };
  #isMuted = false;
  /** Only the newest answer to a question counts. @type {Record<Kind, number>} */
  #asked = { audio: 0, video: 0 };

  /**
   * @param {MediaDevices | undefined} devices  undefined where the page is not secure
   * @param {Choice} choice  as of last time
   */
  constructor(devices, choice) {
    super();
    this.#devices = devices;
    this.#choice = { ...choice };
    devices?.addEventListener?.("devicechange", () => this.#list());
  }

  get choice() {
    return this.#choice;
  }

  get microphoneIsOn() {
    return this.#tracks.audio !== null && !this.#isMuted;
  }

  get cameraIsOn() {
    return this.#tracks.video !== null;
  }

  get screenIsOn() {
    return this.#tracks.screen !== null;
  }

  get canShareScreen() {
    return typeof this.#devices?.getDisplayMedia === "function";
  }

  /** The camera's track, whether it is sent or not. */
  get camera() {
    return this.#tracks.video;
  }

  /** What is sent: the screen, while it is shared, in place of the camera. @returns {import("./peer.js").Tracks} */
  get tracks() {
    return { audio: this.#tracks.audio, video: this.#tracks.screen ?? this.#tracks.video };
  }

  /** Asks for both at once, so that the person is asked once; and for each alone, if there are not both. */
  async open() {
    if (!this.#devices?.getUserMedia) {
      this.failures = { audio: "insecure", video: "insecure" };
      return this.emit("changed");
    }
    try {
      const stream = await this.#devices.getUserMedia({ audio: this.#sound(), video: this.#picture() });
      this.#set("audio", stream.getAudioTracks()[0]);
      this.#set("video", stream.getVideoTracks()[0]);
    } catch {
      await this.#acquire("audio");
      await this.#acquire("video");
    }
    await this.#list();
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    this.#isMuted = !on;
    const { audio } = this.#tracks;
    if (audio) audio.enabled = on;
    else if (on) await this.#acquire("audio");
    this.emit("changed");
  }

  /** @param {boolean} on */
  async setCamera(on) {
    if (on) return this.#acquire("video");
    // One that still starts is not wanted any more.
    this.#asked.video += 1;
    this.#set("video", null);
  }

  /** @param {Kind} kind @param {string} device */
  async choose(kind, device) {
    if (kind === "audio") this.#choice.microphone = device;
    else this.#choice.camera = device;
    if (this.#tracks[kind]) await this.#acquire(kind);
    this.emit("changed");
  }

  /** The next camera, or on a phone the one on the other side. */
  async switchCamera() {
    const cameras = this.devices.filter(({ kind }) => kind === "videoinput");
    const current = this.#tracks.video?.getSettings().deviceId;
    const index = cameras.findIndex(({ deviceId }) => deviceId === current);
    const next = cameras[(index + 1) % cameras.length];
    if (next) await this.choose("video", next.deviceId);
  }

  /** Resolves to whether it is shared: the person may think better of it. */
  async shareScreen() {
    try {
      const stream = await this.#devices?.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: false });
      const track = stream?.getVideoTracks()[0] ?? null;
      // Text stays sharp, and moves less smoothly instead.
      if (track) track.contentHint = "detail";
      this.#set("screen", track);
    } catch {
      return false;
    }
    return this.screenIsOn;
  }

  stopScreen() {
    this.#set("screen", null);
  }

  /** A phone takes the camera away from a page that is not seen, and does not give it back. */
  async revive() {
    for (const kind of /** @type {Kind[]} */ (["audio", "video"])) {
      const track = this.#tracks[kind];
      if (track?.readyState === "ended") await this.#acquire(kind);
    }
  }

  close() {
    for (const kind of /** @type {(Kind | "screen")[]} */ (["screen", "video", "audio"])) this.#set(kind, null);
  }

  /** @param {Kind} kind */
  async #acquire(kind) {
    const asked = ++this.#asked[kind];
    // Phones open one camera at a time.
    if (kind === "video") this.#tracks.video?.stop();
    try {
      const track = await this.#ask(kind);
      if (asked !== this.#asked[kind]) return track.stop();
      this.#set(kind, track);
      await this.#list();
    } catch (error) {
      if (asked !== this.#asked[kind]) return;
      this.#set(kind, null);
      this.failures[kind] = failure(error);
      this.emit("changed");
    }
  }

  /** @param {Kind} kind @returns {Promise<MediaStreamTrack>} */
  async #ask(kind) {
    if (!this.#devices?.getUserMedia) throw Object.assign(new Error(), { name: "InsecureContext" });
    const wish = kind === "audio" ? { audio: this.#sound() } : { video: this.#picture() };
    const stream = await this.#devices.getUserMedia(wish).catch((error) => {
      // The device that was chosen last time is not there any more: any other will do.
      if (error.name !== "OverconstrainedError" || !this.#devices) throw error;
      return this.#devices.getUserMedia({ [kind]: true });
    });
    return stream.getTracks()[0];
  }

  /** @param {Kind | "screen"} kind @param {MediaStreamTrack | null} track */
  #set(kind, track) {
    const old = this.#tracks[kind];
    if (old) old.onended = null;
    old?.stop();
    this.#tracks[kind] = track;
    if (kind !== "screen" && track) this.failures[kind] = null;
    if (kind === "audio" && track) track.enabled = !this.#isMuted;
    if (track) track.onended = () => this.#ended(kind);
    const sent = kind === "audio" ? "audio" : "video";
    this.emit("track", sent, this.tracks[sent]);
    this.emit("changed");
  }

  /** Sharing was stopped in the browser's own bar; or a device is unplugged, and another may be there. @param {Kind | "screen"} kind */
  #ended(kind) {
    this.#set(kind, null);
    if (kind !== "screen") this.#acquire(kind);
  }

  async #list() {
    this.devices = (await this.#devices?.enumerateDevices()) ?? [];
    this.emit("devices");
  }

  #sound() {
    const { microphone } = this.#choice;
    return { ...SOUND, ...(microphone && { deviceId: { exact: microphone } }) };
  }

  #picture() {
    const { camera } = this.#choice;
    return { ...PICTURE, ...(camera ? { deviceId: { exact: camera } } : { facingMode: this.facing }) };
  }
}
