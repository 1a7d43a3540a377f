// @ts-check
/** The shared screen, and its sound, which is sent together with the voice. */

import { Emitter } from "./emitter.js";

/** Several tracks as one. @typedef {(tracks: MediaStreamTrack[]) => { track: MediaStreamTrack, close: () => void }} Mix */

const PICTURE = { frameRate: { ideal: 15 } };
/** A film is no voice: nothing is to be filtered out of it. */
const SOUND = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/**
 * `picture` and `sound` say that either has changed: the screen itself, and what is sent in place of the microphone alone.
 *
 * @extends {Emitter<{ picture: [], sound: [] }>}
 */
export class Screen extends Emitter {
  /** @type {MediaStreamTrack | null} */
  track = null;
  #devices;
  #mix;
  /** @type {MediaStreamTrack | null} */
  #sound = null;
  /** @type {{ voice: MediaStreamTrack | null, track: MediaStreamTrack, close: () => void } | null} */
  #mixed = null;

  /**
   * @param {MediaDevices | undefined} devices
   * @param {Mix} [mix]  without it, a screen is shared without its sound
   */
  constructor(devices, mix) {
    super();
    this.#devices = devices;
    this.#mix = mix;
  }

  get canShare() {
    return typeof this.#devices?.getDisplayMedia === "function";
  }

  get hasSound() {
    return this.#sound !== null;
  }

  /** Whether others cannot hear what is shared, whatever the person chose: Firefox and Safari give no sound, and do not say so. */
  get isSilent() {
    return this.track !== null && !this.hasSound && !("suppressLocalAudioPlayback" in this.#supported);
  }

  /**
   * Fails as `getDisplayMedia` does: the person may think better of it, or the system may not allow it.
   * @param {() => boolean} isWelcome  whether it is still wanted when the person has chosen
   */
  async share(isWelcome) {
    const stream = await this.#devices?.getDisplayMedia(this.#wish());
    const [track, sound] = [stream?.getVideoTracks()[0], stream?.getAudioTracks()[0]];
    if (!track || !isWelcome()) return stream?.getTracks().forEach((it) => it.stop());
    this.stop();
    this.track = track;
    // Text stays sharp, and moves less smoothly instead.
    track.contentHint = "detail";
    // Sharing was stopped in the browser's own bar.
    track.onended = () => this.stop();
    this.#hear(sound ?? null);
    this.emit("picture");
  }

  stop() {
    if (!this.track) return;
    this.track.onended = null;
    this.track.stop();
    this.track = null;
    this.#hear(null);
    this.emit("picture");
  }

  /** What is sent as sound: the voice, and with it what the screen sounds like. @param {MediaStreamTrack | null} voice @returns {MediaStreamTrack | null} */
  withSound(voice) {
    if (this.#mixed?.voice !== voice || !this.#sound) this.#unmix();
    if (!this.#sound || !this.#mix) return voice;
    this.#mixed ??= { voice, ...this.#mix(voice ? [voice, this.#sound] : [this.#sound]) };
    this.#mixed.track.contentHint = "music";
    return this.#mixed.track;
  }

  /** @param {MediaStreamTrack | null} sound */
  #hear(sound) {
    if (sound === this.#sound) return;
    if (this.#sound) this.#sound.onended = null;
    this.#sound?.stop();
    this.#sound = sound;
    // Somebody may stop the sound alone, or share another tab, which has none.
    if (sound) sound.onended = () => this.#hear(null);
    this.#unmix();
    this.emit("sound");
  }

  #unmix() {
    this.#mixed?.close();
    this.#mixed = null;
  }

  /**
   * Neither this tab, in which everybody would see themselves in themselves; nor the sound of the whole machine, in which
   * everybody would hear themselves, unless the browser can leave out what this page plays.
   */
  #wish() {
    const canLeaveOut = "restrictOwnAudio" in this.#supported;
    return /** @type {DisplayMediaStreamOptions} */ ({
      video: PICTURE,
      audio: this.#mix ? { ...SOUND, ...(canLeaveOut && { restrictOwnAudio: true }) } : false,
      selfBrowserSurface: "exclude",
      surfaceSwitching: "include",
      systemAudio: canLeaveOut ? "include" : "exclude",
    });
  }

  /** Only browsers that give a tab's sound know `suppressLocalAudioPlayback`, which is about that sound. */
  get #supported() {
    return this.#devices?.getSupportedConstraints?.() ?? {};
  }
}
