// @ts-check
/** Which speaker is used: the one that was chosen while it is there, and otherwise the default one. */

import { Emitter } from "./emitter.js";

/** @extends {Emitter<{ sink: [string], replaced: [string] }>}  `replaced` is its name, and empty for the default one */
export class Speaker extends Emitter {
  /** The device's id; empty for the default one. */
  choice;
  #isThere = true;

  /** @param {string} choice  as of last time */
  constructor(choice) {
    super();
    this.choice = choice;
  }

  /** What to play through. */
  get sink() {
    return this.#isThere ? this.choice : "";
  }

  /** @param {string} speaker */
  choose(speaker) {
    this.choice = speaker;
    this.#isThere = true;
    this.emit("sink", this.sink);
  }

  /** @param {Pick<MediaDeviceInfo, "kind" | "deviceId" | "label">[]} devices  all that are there now */
  see(devices) {
    const speakers = devices.filter(({ kind, deviceId }) => kind === "audiooutput" && deviceId !== "");
    // Before the user has allowed anything, browsers name none. The default one needs no look.
    if (speakers.length === 0 || !this.choice) return;
    const chosen = speakers.find(({ deviceId }) => deviceId === this.choice);
    if (Boolean(chosen) === this.#isThere) return;
    this.#isThere = chosen !== undefined;
    this.emit("sink", this.sink);
    this.emit("replaced", chosen?.label ?? "");
  }
}
