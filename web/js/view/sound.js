// @ts-check
/** Plays what the others send, through the speaker that was chosen, as soon as the browser allows it. */

import { recall, remember } from "./memory.js";

export class Sound {
  #button;
  /** @type {Set<HTMLVideoElement>} */
  #players = new Set();
  /** @type {Set<HTMLVideoElement>} */
  #blocked = new Set();
  speaker = recall("speaker");

  /** @param {HTMLButtonElement} button  shown while the browser waits for a touch before it makes a sound */
  constructor(button) {
    this.#button = button;
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
    this.#route(player);
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

  /** @param {string} speaker */
  choose(speaker) {
    this.speaker = speaker;
    remember("speaker", speaker);
    this.#players.forEach((player) => this.#route(player));
  }

  /** @param {HTMLVideoElement} player */
  #route(player) {
    // A speaker that is gone: the default one it is.
    if (Sound.canChoose && this.speaker) player.setSinkId(this.speaker).catch(() => {});
  }
}
