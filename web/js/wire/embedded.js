// @ts-check
/** What a call in a frame tells the page around it, and what that page may tell it to do; docs/embedding.md explains it. */

import { Emitter } from "./emitter.js";

/** @typedef {{ joined: boolean, count: number, mic: boolean, cam: boolean }} Shown */
/** @typedef {"mute" | "unmute" | "camera-on" | "camera-off" | "leave"} Command */

/** @type {ReadonlySet<unknown>} */
const COMMANDS = new Set(["mute", "unmute", "camera-on", "camera-off", "leave"]);

/**
 * Nobody is told anything before a page of a site that the operator has named has asked.
 * @extends {Emitter<{ command: [Command] }>}
 */
export class Embedded extends Emitter {
  #sites;
  #post;
  /** The site that has asked. */
  #listener = "";
  /** @type {Shown} */
  #shown = { joined: false, count: 0, mic: false, cam: false };

  /**
   * @param {object} parts
   * @param {string[]} parts.sites  the origins that may show this page
   * @param {(message: object, origin: string) => void} parts.post
   */
  constructor({ sites, post }) {
    super();
    this.#sites = sites;
    this.#post = post;
    // It says nothing, so anybody may hear it.
    post({ hairpin: "ready" }, "*");
  }

  /** A message from the page around this one. @param {string} origin @param {unknown} data */
  hear(origin, data) {
    if (!this.#sites.includes(origin) || typeof data !== "object" || data === null) return;
    const { hairpin } = /** @type {{ hairpin?: unknown }} */ (data);
    if (hairpin === "listen") {
      this.#listener = origin;
      this.#tell("state", this.#shown);
    } else if (COMMANDS.has(hairpin)) {
      this.emit("command", /** @type {Command} */ (hairpin));
    }
  }

  /** @param {Partial<Shown>} change */
  show(change) {
    const before = this.#shown;
    const now = { ...before, ...change };
    this.#shown = now;
    if (now.joined && !before.joined) return this.#tell("joined", now);
    if (now.count !== before.count && now.joined) this.#tell("count", { count: now.count });
    if (now.mic !== before.mic || now.cam !== before.cam) this.#tell("devices", { mic: now.mic, cam: now.cam });
  }

  /** The call is over, or never began. @param {string} reason */
  left(reason) {
    this.#shown = { ...this.#shown, joined: false, count: 0 };
    this.#tell("left", { reason });
  }

  /** @param {string} what @param {object} values */
  #tell(what, values) {
    if (this.#listener) this.#post({ hairpin: what, ...values }, this.#listener);
  }
}
