// @ts-check
/** Lets people try microphone and speaker before they join; loaded when somebody asks for it. */

import { icon, make } from "./dom.js";
import { say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */

const RECORDED = 3_000;
/** Two notes, in hertz, and how long each is, in seconds. */
const NOTES = [523, 659];
const NOTE = 0.4;

export class Rehearsal {
  #media;
  #sound;
  #player = new Audio();
  #told = make("p", "small soft");
  #hear = this.#button("mic", "rehearsal.hear", () => this.#record());
  #tone = this.#button("sound", "rehearsal.tone", () => this.#play());
  element = make("div", "rehearsal", this.#hear, this.#tone, this.#told);
  #stop = () => {};

  /** @param {import("../wire/media.js").Media} media @param {import("./sound.js").Sound} sound */
  constructor(media, sound) {
    this.#media = media;
    this.#sound = sound;
    this.#told.role = "status";
    this.#hear.hidden = !("MediaRecorder" in window);
  }

  close() {
    this.#stop();
    this.#player.pause();
    URL.revokeObjectURL(this.#player.src);
  }

  /** @param {string} picture @param {Key} key @param {() => void} act */
  #button(picture, key, act) {
    const button = make("button", "", icon(picture, "small"), say(make("span"), key));
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }

  /** Of a copy: whoever is muted is heard by themselves. */
  #record() {
    this.close();
    const track = this.#media.microphone?.clone();
    if (!track) return void say(this.#told, "rehearsal.none");
    track.enabled = true;
    const recorder = new MediaRecorder(new MediaStream([track]));
    this.#hear.disabled = true;
    say(this.#told, "rehearsal.recording");
    const timer = setTimeout(() => recorder.stop(), RECORDED);
    let isCalledOff = false;
    this.#stop = () => {
      isCalledOff = true;
      clearTimeout(timer);
      if (recorder.state !== "inactive") recorder.stop();
    };
    recorder.addEventListener("dataavailable", ({ data }) => {
      track.stop();
      this.#hear.disabled = false;
      if (!isCalledOff) this.#playBack(data);
    });
    recorder.start();
  }

  /** @param {Blob} recorded */
  #playBack(recorded) {
    say(this.#told, "rehearsal.playing");
    this.#player.srcObject = null;
    this.#player.src = URL.createObjectURL(recorded);
    this.#player.onended = () => say(this.#told, "rehearsal.done");
    this.#begin();
  }

  /** Through a player, for which every browser that has a choice of speakers lets it be made. */
  #play() {
    this.close();
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const volume = new GainNode(context, { gain: 0.2 });
    volume.connect(out);
    NOTES.forEach((frequency, index) => {
      const note = new OscillatorNode(context, { frequency });
      note.connect(volume);
      note.start(context.currentTime + index * NOTE);
      note.stop(context.currentTime + (index + 1) * NOTE);
      if (index === NOTES.length - 1) note.onended = () => this.#stop();
    });
    this.#stop = () => void context.close().catch(() => {});
    this.#player.removeAttribute("src");
    this.#player.srcObject = out.stream;
    say(this.#told, "rehearsal.sounding");
    this.#begin();
  }

  #begin() {
    this.#sound.route(this.#player);
    this.#player.play().catch(() => {});
  }
}
