// @ts-check
/** This machine's camera, microphone and screen: the tracks that are sent to the others. */

import { Consent } from "./consent.js";
import { Emitter } from "./emitter.js";
import { failure } from "./failure.js";
import { Screen } from "./screen.js";
import { Wish } from "./wish.js";

/** @typedef {import("./failure.js").Failure} Failure */
/** The devices. @typedef {"audio" | "video"} Kind */
/** @typedef {import("./wish.js").Choice} Choice */
/** What the user has switched off, whether it would work or not. @typedef {Record<Kind, boolean>} Off */

/** @type {Kind[]} */
const KINDS = ["audio", "video"];

/** A device that another program has is asked for again so often: nothing tells when it is free. */
const FREE_AFTER = 5_000;
/** So many interruptions in a row are followed by a fresh capture. More are the device's own manner. */
const RENEWALS_MAX = 3;

/** @type {Record<Kind, MediaDeviceKind>} */
const INPUT = { audio: "audioinput", video: "videoinput" };

/** @type {Record<string, string>} */
const OPPOSITE = { user: "environment", environment: "user" };

/**
 * Muting keeps the microphone, so that it is back at once; a camera that is off is let go of, so that its light goes out.
 *
 * A system can take a device away: for a phone call, for Siri, for another program, or because it is unplugged. What was on
 * is asked for again as soon as it may be back. After an interruption iOS can give a track that is live and sends nothing
 * (WebKit 208516, 259368, 259884), so a track that was muted once is replaced by a fresh capture.
 *
 * @extends {Emitter<{ track: [Kind | "screen", MediaStreamTrack | null], changed: [], devices: [], replaced: [Kind, string] }>}
 */
export class Media extends Emitter {
  /** @type {MediaDeviceInfo[]} */
  devices = [];
  /** Why there is no microphone, or no camera. @type {Record<Kind, Failure | null>} */
  failures = { audio: null, video: null };

  #devices;
  #consent;
  #wish;
  #screen;
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  #isMuted;
  /** The user has switched the camera off. */
  #isDark;
  /** The newest question that is not answered yet: only its answer counts. @type {Record<Kind, symbol | null>} */
  #asked = { audio: null, video: null };
  /** Devices that were on and disappeared. @type {Set<Kind>} */
  #lost = new Set();
  /** Devices that were interrupted: what they give may be nothing. @type {Set<Kind>} */
  #doubted = new Set();
  #renewals = 0;
  /** The device that another one stands in for until it is back. @type {Record<Kind, string>} */
  #absent = { audio: "", video: "" };
  #clock;
  #isSeen;
  /** The browser may still ask a user who has left; whatever the answer is, nothing starts. */
  #isClosed = false;

  /**
   * @param {MediaDevices | undefined} devices  undefined where the page is not secure
   * @param {Choice} choice  as of last time
   * @param {Pick<Permissions, "query">} [permissions]  where the browser tells what it allows
   * @param {object} [page]
   * @param {import("./clock.js").Clock} [page.clock]
   * @param {() => boolean} [page.isSeen]  a page that nobody sees gets no device on a phone
   * @param {Off} [page.off]  what the user had switched off before a reload
   * @param {boolean} [page.isMusic]  whether the microphone hears music
   * @param {boolean} [page.isBlurred]  whether the background is to be blurred, where the browser can do it
   * @param {import("./screen.js").Mix} [page.mix]
   */
  constructor(devices, choice, permissions, { clock, isSeen = () => true, off, isMusic = false, isBlurred = false, mix } = {}) {
    super();
    this.#screen = new Screen(devices, mix);
    this.#screen.on("sound", () => this.emit("track", "audio", this.tracks.audio));
    this.#screen.on("picture", () => this.#emitTrack("screen"));
    this.#wish = new Wish(choice, { isMusic, isBlurred });
    this.#isMuted = off?.audio === true;
    this.#isDark = off?.video === true;
    this.#clock = clock;
    this.#isSeen = isSeen;
    this.#devices = devices;
    this.#consent = new Consent(permissions);
    devices?.addEventListener?.("devicechange", () => this.#devicesChanged());
  }

  get choice() {
    return this.#wish.choice;
  }

  get microphoneIsOn() {
    return gives(this.#tracks.audio) && !this.#isMuted;
  }

  get cameraIsOn() {
    return gives(this.#tracks.video);
  }

  /** The device is on or starting, so pressing the button again means off. */
  get microphoneIsWanted() {
    return !this.#isMuted && (gives(this.#tracks.audio) || this.#asked.audio !== null);
  }

  get cameraIsWanted() {
    return gives(this.#tracks.video) || this.#asked.video !== null;
  }

  /** @returns {Off} */
  get off() {
    return { audio: this.#isMuted, video: this.#isDark };
  }

  /** Why a device that was on gives nothing, although the user did not switch it off: "muted" by the system, or lost. */
  get taken() {
    return { audio: this.#isMuted ? null : this.#takenBy("audio"), video: this.#takenBy("video") };
  }

  get screenIsOn() {
    return this.#screen.track !== null;
  }

  get screenHasSound() {
    return this.#screen.hasSound;
  }

  get screenIsSilent() {
    return this.#screen.isSilent;
  }

  get canShareScreen() {
    return this.#screen.canShare;
  }

  /** The microphone's track, whether it is sent alone or not. */
  get microphone() {
    return this.#tracks.audio;
  }

  /** The camera's track, whether it is sent or not. */
  get camera() {
    return this.#tracks.video;
  }

  /** The tracks to send. @returns {import("./peer.js").Tracks} */
  get tracks() {
    const { audio, video } = this.#tracks;
    return { audio: this.#screen.withSound(audio), video, screen: this.#screen.track };
  }

  /**
   * Asks for both devices at once, so that the browser asks the user once; and for each separately if one is missing and the
   * user did not refuse. A camera that the user has switched off is not asked for.
   */
  async open() {
    if (this.#isClosed) return;
    if (!this.#devices?.getUserMedia) {
      this.failures = { audio: "insecure", video: "insecure" };
      return this.emit("changed");
    }
    const kinds = KINDS.filter((kind) => kind === "audio" || !this.#isDark);
    const questions = { audio: this.#question("audio"), video: this.#isDark ? Symbol() : this.#question("video") };
    const wish = { audio: this.#wish.sound(), ...(!this.#isDark && { video: this.#wish.picture() }) };
    const answer = await this.#devices.getUserMedia(wish).catch(failure);
    for (const kind of kinds) {
      const track = typeof answer === "string" ? null : answer.getTracks().find((it) => it.kind === kind);
      if (track) this.#answered(kind, questions[kind], track);
      else if (answer === "denied" && (await this.#consent.isRefused(kind))) this.#answered(kind, questions[kind], answer);
      else if (this.#asked[kind] === questions[kind]) await this.#acquire(kind);
    }
    await this.#list();
  }

  /** @param {boolean} on */
  async setMicrophone(on) {
    this.#isMuted = !on;
    const { audio } = this.#tracks;
    if (audio) audio.enabled = on;
    else if (on) await this.#acquire("audio");
    else this.#callOff("audio");
    if (audio && on && this.#doubted.has("audio")) await this.#renew("audio");
    this.emit("changed");
  }

  /** @param {boolean} on */
  async setCamera(on) {
    this.#isDark = !on;
    if (on) return this.#acquire("video");
    this.#callOff("video");
    this.#set("video", null);
  }

  /** @param {Kind} kind @param {string} device */
  async choose(kind, device) {
    this.#wish.choose(kind, device);
    this.#absent[kind] = "";
    if (this.#tracks[kind]) await this.#acquire(kind);
    this.emit("changed");
  }

  get isMusic() {
    return this.#wish.isMusic;
  }

  /** Whether the microphone hears music, of which nothing is to be filtered out. @param {boolean} on */
  async setMusic(on) {
    this.#wish.isMusic = on;
    // Not every browser changes the filters of a capture that runs.
    if (this.#tracks.audio) await this.#renew("audio");
    this.emit("changed");
  }

  /** Whether the browser blurs the background of this camera, and leaves the choice to the page. */
  get canBlur() {
    const blur = /** @type {any} */ (this.#tracks.video?.getCapabilities?.())?.backgroundBlur;
    return Array.isArray(blur) && blur.includes(true) && blur.includes(false);
  }

  get isBlurred() {
    const is = /** @type {any} */ (this.#tracks.video?.getSettings())?.backgroundBlur;
    return is ?? this.#wish.isBlurred ?? false;
  }

  /** @param {boolean} on */
  async setBlur(on) {
    this.#wish.isBlurred = on;
    await this.#tracks.video?.applyConstraints(this.#wish.picture()).catch(() => {});
    this.emit("changed");
  }

  /** On a phone the other side, whose best lens it knows itself; elsewhere the next camera. */
  async switchCamera() {
    const current = this.#tracks.video?.getSettings();
    const opposite = OPPOSITE[current?.facingMode ?? ""];
    if (opposite) {
      this.#wish.facing = opposite;
      return this.choose("video", "");
    }
    const cameras = this.devices.filter(({ kind }) => kind === "videoinput");
    const index = cameras.findIndex(({ deviceId }) => deviceId === current?.deviceId);
    const next = cameras[(index + 1) % cameras.length];
    if (next) await this.choose("video", next.deviceId);
  }

  /** Fails if the person thinks better of it, or if the system does not allow it. */
  async shareScreen() {
    await this.#screen.share(() => !this.#isClosed);
  }

  stopScreen() {
    this.#screen.stop();
  }

  /** A phone takes the camera away from a page that is not seen, and either during a call; and does not always give them back. */
  async revive() {
    this.#renewals = 0;
    for (const kind of KINDS) {
      const track = this.#tracks[kind];
      const isDoubtful = track?.readyState === "ended" || track?.muted || this.#doubted.has(kind);
      if (!isDoubtful && !this.#lost.has(kind)) continue;
      await this.#renew(kind);
      // The page is seen: that was the person's own word.
      if (this.failures[kind] === "denied") this.#lost.delete(kind);
    }
  }

  /** For good: a page that comes back begins anew. */
  close() {
    this.#isClosed = true;
    this.#asked = { audio: null, video: null };
    this.#screen.stop();
    for (const kind of KINDS) this.#set(kind, null);
  }

  /** @param {Kind} kind @returns {Failure | "muted" | "gone" | null} */
  #takenBy(kind) {
    if (this.#tracks[kind]?.muted) return "muted";
    return this.#lost.has(kind) ? (this.failures[kind] ?? "gone") : null;
  }

  /** @param {Kind} kind @param {string} [device]  not the one that was chosen */
  async #acquire(kind, device) {
    if (this.#isClosed) return;
    const question = this.#question(kind);
    // Phones open one camera at a time.
    if (kind === "video") this.#tracks.video?.stop();
    this.#answered(kind, question, await this.#ask(kind, device).catch(failure));
    await this.#list();
  }

  /**
   * Takes a fresh capture. A track that gives something is stopped first: as long as it lives, iOS shares its capture, which
   * may be dead. One that is muted is kept until then: the system may be about to give it back. If what comes is muted, too,
   * both are let go of, and the device is asked for once more.
   *
   * @param {Kind} kind
   */
  async #renew(kind) {
    if (this.#asked[kind] || this.#isClosed) return;
    this.#lost.add(kind);
    const track = this.#tracks[kind];
    if (gives(track)) track?.stop();
    await this.#acquire(kind);
    const fresh = this.#tracks[kind];
    if (!fresh?.muted || fresh === track) return;
    fresh.stop();
    this.#lost.add(kind);
    await this.#acquire(kind);
  }

  /** The system has interrupted the device. @param {Kind} kind */
  #interrupted(kind) {
    this.#doubted.add(kind);
    this.emit("changed");
  }

  /** @param {Kind} kind */
  #resumed(kind) {
    const isWorthIt = this.#doubted.has(kind) && this.#isSeen() && this.#renewals < RENEWALS_MAX;
    if (!isWorthIt) return this.emit("changed");
    this.#renewals += 1;
    this.#renew(kind);
  }

  /** A device that another program had may be free again. @param {Kind} kind */
  #retry(kind) {
    this.#clock?.after(FREE_AFTER, () => {
      if (this.#lost.has(kind)) this.#renew(kind);
    });
  }

  /** @param {Kind} kind */
  #question(kind) {
    const question = Symbol(kind);
    this.#asked[kind] = question;
    this.emit("changed");
    return question;
  }

  /** Cancels a device that is starting or was lost; a cancelled device has not failed. @param {Kind} kind */
  #callOff(kind) {
    this.#asked[kind] = null;
    this.#lost.delete(kind);
    this.#absent[kind] = "";
    this.failures[kind] = null;
  }

  /** @param {Kind} kind @param {symbol} question @param {MediaStreamTrack | Failure} answer */
  #answered(kind, question, answer) {
    if (this.#asked[kind] !== question) {
      // The result is no longer needed.
      if (typeof answer !== "string") answer.stop();
      return;
    }
    this.#asked[kind] = null;
    if (typeof answer !== "string") return this.#set(kind, answer);
    // Keep the current track: a microphone that a phone call has muted returns without help.
    if (this.#tracks[kind]?.readyState === "live") {
      this.#lost.delete(kind);
      return this.emit("changed");
    }
    this.failures[kind] = answer;
    this.#set(kind, null);
    if (answer === "busy") this.#retry(kind);
    if (answer === "denied") this.#consent.whenGiven(kind, () => this.failures[kind] === "denied" && this.#renew(kind));
  }

  /** @param {Kind} kind @param {string} [device] @returns {Promise<MediaStreamTrack>} */
  async #ask(kind, device) {
    if (!this.#devices?.getUserMedia) throw Object.assign(new Error(), { name: "InsecureContext" });
    const wish = kind === "audio" ? { audio: this.#wish.sound(device) } : { video: this.#wish.picture(device) };
    const stream = await this.#devices.getUserMedia(wish).catch((error) => {
      // The device that was chosen last time is not there any more: any other will do until it is.
      if (error.name !== "OverconstrainedError" || !this.#devices || this.#isClosed) throw error;
      this.#absent[kind] = device ?? this.#wish.chosen(kind);
      return this.#devices.getUserMedia({ [kind]: true });
    });
    return stream.getTracks()[0];
  }

  /** @param {Kind} kind @param {MediaStreamTrack | null} track */
  #set(kind, track) {
    const old = this.#tracks[kind];
    if (old) old.onended = old.onmute = old.onunmute = null;
    old?.stop();
    this.#tracks[kind] = track;
    this.#watch(kind, track);
    if (kind === "audio" && track) {
      track.enabled = !this.#isMuted;
      track.contentHint = this.#wish.isMusic ? "music" : "";
    }
    // A face moves smoothly, and is less sharp instead.
    if (kind === "video" && track) track.contentHint = "motion";
    if (track) track.onended = () => this.#ended(kind);
    this.#emitTrack(kind);
  }

  /** @param {Kind | "screen"} kind */
  #emitTrack(kind) {
    this.emit("track", kind, this.tracks[kind]);
    this.emit("changed");
  }

  /** @param {Kind} kind @param {MediaStreamTrack | null} track */
  #watch(kind, track) {
    this.#doubted.delete(kind);
    if (!track) return;
    this.failures[kind] = null;
    this.#lost.delete(kind);
    if (track.muted) this.#doubted.add(kind);
    track.onmute = () => this.#interrupted(kind);
    track.onunmute = () => this.#resumed(kind);
    // The system may blur the background, or stop to do so, by a menu of its own.
    track.addEventListener?.("configurationchange", () => this.emit("changed"));
  }

  /** A device is unplugged, and another may be there. @param {Kind} kind */
  async #ended(kind) {
    const device = this.#tracks[kind]?.getSettings().deviceId ?? "";
    this.#set(kind, null);
    this.#lost.add(kind);
    this.#absent[kind] = device;
    await this.#acquire(kind);
    // Browsers end both tracks when one device is blocked.
    if (this.#tracks[kind]?.getSettings().deviceId !== device) this.#replaced(kind);
    else this.#absent[kind] = "";
  }

  async #devicesChanged() {
    await this.#list();
    for (const kind of KINDS) {
      if (this.#asked[kind]) continue;
      const there = this.devices.filter((device) => device.kind === INPUT[kind]).map(({ deviceId }) => deviceId);
      const wasLost = this.#lost.has(kind);
      if (this.#absent[kind] && there.includes(this.#absent[kind])) await this.#takeBack(kind, wasLost);
      else if (there.length > 0 && (this.#doubted.has(kind) || (wasLost && this.failures[kind] !== "denied"))) await this.#renew(kind);
    }
  }

  /** The device that was in use is there again. @param {Kind} kind @param {boolean} wasLost  nothing stood in for it */
  async #takeBack(kind, wasLost) {
    const device = this.#absent[kind];
    this.#absent[kind] = "";
    if (!wasLost && this.#tracks[kind]?.getSettings().deviceId === device) return;
    await this.#acquire(kind, device);
    if (!wasLost) this.#replaced(kind);
  }

  /** The page should say which device it is now. @param {Kind} kind */
  #replaced(kind) {
    const track = this.#tracks[kind];
    if (track) this.emit("replaced", kind, track.label);
  }

  async #list() {
    this.devices = (await this.#devices?.enumerateDevices()) ?? [];
    this.emit("devices");
  }
}

/** A track whose device works, as far as the browser says. @param {MediaStreamTrack | null} track */
function gives(track) {
  return track !== null && !track.muted;
}
