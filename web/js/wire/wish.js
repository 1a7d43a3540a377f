// @ts-check
/** What is asked of camera and microphone: which of them, and what they should do with picture and sound. */

/** @typedef {{ camera: string, microphone: string }} Choice  device ids; empty for any */

/** Enough to see a face by, and little enough for four at once. */
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const VOICE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** What is no voice is noise, says a filter for voices. */
const MUSIC = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export class Wish {
  /** @type {Choice} */
  choice;
  facing = "user";
  isMusic;
  /** Undefined while the user has not chosen: the system may have a switch of its own. @type {boolean | undefined} */
  isBlurred;

  /** @param {Choice} choice @param {{ isMusic: boolean, isBlurred: boolean }} options */
  constructor(choice, { isMusic, isBlurred }) {
    this.choice = { ...choice };
    this.isMusic = isMusic;
    this.isBlurred = isBlurred || undefined;
  }

  /** @param {"audio" | "video"} kind @param {string} device */
  choose(kind, device) {
    this.choice[kind === "audio" ? "microphone" : "camera"] = device;
  }

  /** @param {"audio" | "video"} kind */
  chosen(kind) {
    return this.choice[kind === "audio" ? "microphone" : "camera"];
  }

  /** @param {string} [microphone] */
  sound(microphone = this.choice.microphone) {
    return { ...(this.isMusic ? MUSIC : VOICE), ...(microphone && { deviceId: { exact: microphone } }) };
  }

  /** @param {string} [camera] */
  picture(camera = this.choice.camera) {
    const blur = this.isBlurred === undefined ? {} : { backgroundBlur: this.isBlurred };
    return { ...PICTURE, ...blur, ...(camera ? { deviceId: { exact: camera } } : { facingMode: this.facing }) };
  }
}
