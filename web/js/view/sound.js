// @ts-check
/** Plays what the others send, through the speaker that was chosen, as soon as the browser allows it. */

import { Speaker } from "../wire/speaker.js";
import { text } from "./language.js";
import { recall, remember } from "./memory.js";
import { toast } from "./toasts.js";

export class Sound {
  #button;
  /** @type {Set<HTMLVideoElement>} */
  #players = new Set();
  /** @type {Set<HTMLVideoElement>} */
  #blocked = new Set();
  #speaker = new Speaker(recall("speaker"));

  /** @param {HTMLButtonElement} button  shown while the browser waits for a touch before it makes a sound */
  constructor(button) {
    this.#button = button;
    this.#speaker.on("sink", () => this.#players.forEach((player) => this.route(player)));
    this.#speaker.on("replaced", (device) => toast("device.replaced.speaker", { device: device || text("device.default") }));
    button.addEventListener("click", () => {
      for (const player of this.#blocked) {
        player.muted = false;
        player.play().catch(() => {});
      }
      this.#blocked.clear();
      button.hidden = true;
    });
  }

  /** @param {HTMLVideoElement} player */
  async play(player) {
    this.#players.add(player);
    this.route(player);
    try {
      await player.play();
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "NotAllowedError") return;
      // The picture is allowed at least.
      player.muted = true;
      player.play().catch(() => {});
      this.#blocked.add(player);
      this.#button.hidden = false;
    }
  }

  /** Phones pause what plays while one is called, or looks elsewhere. */
  wake() {
    this.#players.forEach((player) => this.play(player));
  }

  /** @param {HTMLVideoElement} player */
  forget(player) {
    this.#players.delete(player);
    this.#blocked.delete(player);
    if (this.#blocked.size === 0) this.#button.hidden = true;
    player.srcObject = null;
  }

  static get canChoose() {
    return "setSinkId" in HTMLMediaElement.prototype;
  }

  /** The device's id, as it was chosen. */
  get speaker() {
    return this.#speaker.choice;
  }

  /** @param {string} speaker */
  choose(speaker) {
    remember("speaker", speaker);
    this.#speaker.choose(speaker);
  }

  /** A speaker may have gone, or be back. @param {MediaDeviceInfo[]} devices */
  see(devices) {
    if (Sound.canChoose) this.#speaker.see(devices);
  }

  /** @param {HTMLMediaElement} player */
  route(player) {
    const { sink } = this.#speaker;
    // A speaker that does not play leaves the one before.
    if (Sound.canChoose && player.sinkId !== sink) player.setSinkId(sink).catch(() => {});
  }
}
