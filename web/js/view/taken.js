// @ts-check
/** Says that the camera or the microphone was taken away, until it is back or the user does without it. */

import { html, icon, make } from "./dom.js";
import { say } from "./language.js";
import { toast } from "./toasts.js";

/** @typedef {import("../wire/media.js").Media} Media */
/** @typedef {import("../wire/media.js").Kind} Kind */
/** @typedef {import("../wire/i18n.js").Key} Key */

/** What is back by then is not worth a word: a phone takes the camera away from every page that is not seen. */
const PATIENCE = 1_000;

/** @type {Kind[]} */
const KINDS = ["audio", "video"];

/** Why it gives nothing, and what is said then. @type {Record<string, string>} */
const SAID = { muted: "taken", busy: "taken", denied: "blocked" };

export class Taken {
  #media;
  #again;
  #back;
  /** @type {Partial<Record<Kind, number>>} */
  #timers = {};
  /** @type {Map<Kind, HTMLElement>} */
  #shown = new Map();
  #listeners;

  /**
   * @param {Media} media
   * @param {{ again: (kind: Kind) => void, back: () => void }} parts  `again` tries; `back` hears that something is back
   */
  constructor(media, { again, back }) {
    this.#media = media;
    this.#again = again;
    this.#back = back;
    this.#listeners = [
      media.on("changed", () => this.#look()),
      media.on("replaced", (kind, device) => toast(`device.replaced.${kind}`, { device })),
    ];
    this.#look();
  }

  close() {
    this.#listeners.forEach((stop) => stop());
    KINDS.forEach((kind) => this.#hide(kind));
  }

  #look() {
    const { taken } = this.#media;
    for (const kind of KINDS) {
      if (!taken[kind]) this.#over(kind);
      else if (this.#shown.has(kind)) this.#show(kind);
      else this.#timers[kind] ??= window.setTimeout(() => this.#show(kind), PATIENCE);
    }
  }

  /** @param {Kind} kind */
  #over(kind) {
    const isBack = kind === "audio" ? this.#media.microphoneIsOn : this.#media.cameraIsOn;
    const wasTaken = this.#timers[kind] !== undefined;
    const wasSaid = this.#hide(kind);
    if (isBack && wasSaid) toast(`device.back.${kind}`);
    if (isBack && wasTaken) this.#back();
  }

  /** @param {Kind} kind @returns {boolean} whether it was shown */
  #hide(kind) {
    clearTimeout(this.#timers[kind]);
    delete this.#timers[kind];
    this.#shown.get(kind)?.remove();
    const wasShown = this.#shown.delete(kind);
    this.#draw();
    return wasShown;
  }

  /** @param {Kind} kind */
  #show(kind) {
    if (!this.#media.taken[kind]) return;
    if (!this.#shown.has(kind)) this.#make(kind);
    this.#draw();
  }

  #draw() {
    for (const [kind, note] of this.#shown) {
      const text = note.querySelector("p");
      if (text) say(text, /** @type {Key} */ (`device.${this.#said(kind)}.${this.#isOne ? "both" : kind}`));
      note.hidden = this.#isOne && kind === "video";
    }
  }

  /** @param {Kind} kind */
  #said(kind) {
    return SAID[this.#media.taken[kind] ?? ""] ?? "gone";
  }

  /** A phone call takes both, which is said once. */
  get #isOne() {
    return this.#shown.size > 1 && this.#said("audio") === this.#said("video");
  }

  /** Those that this note is about. @param {Kind} kind */
  #of(kind) {
    return this.#isOne ? KINDS : [kind];
  }

  /** @param {Kind} kind */
  #make(kind) {
    const again = say(make("button"), "lobby.again");
    again.addEventListener("click", () => this.#of(kind).forEach(this.#again));
    const off = say(make("button", "plain"), "device.leaveOff");
    off.addEventListener("click", () => this.#of(kind).forEach((it) => (it === "audio" ? this.#media.setMicrophone(false) : this.#media.setCamera(false))));
    for (const button of [again, off]) button.type = "button";
    const note = make("div", "taken", icon(kind === "audio" ? "mic-off" : "camera-off"), make("p"), again, off);
    html("taken").append(note);
    this.#shown.set(kind, note);
    return note;
  }
}
