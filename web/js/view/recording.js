// @ts-check
/** Begins and ends a recording, and shows for as long as one runs who records. */

import { html, make } from "./dom.js";
import { list, onLanguage, say } from "./language.js";
import { offer } from "./more.js";
import { toast } from "./toasts.js";

const isAble = "MediaRecorder" in window && "captureStream" in HTMLCanvasElement.prototype;

export class RecordingSign {
  #recording;
  #media;
  #name;
  /** @type {import("./recorder.js").Recorder | null} */
  #recorder = null;
  #stop = say(make("button", "plain"), "record.stop.short");

  /**
   * @param {object} parts
   * @param {import("../wire/recording.js").Recording} parts.recording
   * @param {import("../wire/media.js").Media} parts.media
   * @param {string} parts.name  of the room
   */
  constructor({ recording, media, name }) {
    this.#recording = recording;
    this.#media = media;
    this.#name = name;
    this.#stop.type = "button";
    this.#stop.addEventListener("click", () => this.close());
    recording.on("changed", () => this.#draw());
    recording.on("began", (member) => toast("record.began", { name: member.name }));
    onLanguage(() => this.#draw());
    for (const other of recording.names) toast("record.began", { name: other });
    this.#draw();
    if (!isAble) return;
    offer(() => (recording.isOn ? { key: "record.stop", icon: "record", act: () => this.close() } : { key: "record.start", icon: "record", act: () => this.#begin() }));
    addEventListener("beforeunload", (event) => recording.isOn && event.preventDefault());
  }

  /** Ends it, and the file with it. */
  close() {
    this.#recorder?.stop();
  }

  async #begin() {
    const { Recorder } = await import("./recorder.js");
    this.#recorder = await Recorder.begin({
      name: this.#name,
      own: () => this.#media.tracks.audio,
      ended: (how) => this.#ended(how),
    });
    if (this.#recorder) this.#recording.set(true);
  }

  /** @param {"saved" | "full" | "failed"} how */
  #ended(how) {
    this.#recorder = null;
    this.#recording.set(false);
    toast(`record.${how}`);
  }

  #draw() {
    const { isOn, names } = this.#recording;
    const sign = html("recording");
    const isNews = sign.hidden;
    sign.hidden = !isOn && names.length === 0;
    if (sign.hidden) return;
    const words = isOn ? say(make("span"), "record.own") : say(make("span"), "record.others", { names: list(names) });
    sign.replaceChildren(words, ...(isOn ? [this.#stop] : []));
    if (isOn && isNews) say(html("spoken"), "record.own");
  }
}
