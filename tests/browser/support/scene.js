/** A daemon of its own, and people who come to it: what one picture is taken of. */

import { freePorts, onLoopback } from "./config.js";
import { Guest } from "./guest.js";
import { Hairpin } from "./hairpin.js";
import { pretend } from "./pretend.js";

/** As unguessable as what the start page makes. */
const ROOM = "/r/3kP0v5q8Jm3tYb7cXr2nWd";
const NAMES = ["Ada", "하나", "Grace", "Linus"];
/** Whoever is not in the picture needs no large window. */
const ELSEWHERE = { width: 480, height: 360 };

export class Scene {
  /** Of whoever is in the picture. */
  viewport;
  room = ROOM;
  /** Whoever has come. @type {Guest[]} */
  people = [];
  #browser;
  #ports;
  #hairpin;

  /** @param {import("puppeteer-core").Browser} browser @param {{ width: number, height: number, isMobile?: boolean }} viewport */
  static async open(browser, viewport) {
    const scene = new Scene();
    scene.#browser = browser;
    scene.viewport = viewport;
    scene.#ports = await freePorts(3);
    return scene;
  }

  /** Where its pages are. */
  get origin() {
    return `http://localhost:${this.#ports[0]}`;
  }

  /**
   * Starts the daemon, before anybody comes; by itself it starts with whoever comes first.
   * @param {{ rooms?: string, http?: string, admin?: string, tls?: boolean }} [options]  `rooms`, `http` and `admin` are lines of their tables
   */
  async serve({ rooms = "", http: ofHttp, admin = "", tls = true } = {}) {
    const [http, turn, secure] = this.#ports;
    const more = `[rooms]\njoins_per_minute = 1000\n${rooms}\n[admin]\n${admin}`;
    this.#hairpin = await Hairpin.start(onLoopback({ http, turn, tls: tls ? secure : undefined, ofHttp, more }));
  }

  /** The server is gone. */
  async silence() {
    await this.#hairpin.kill();
    this.#hairpin = undefined;
  }

  /**
   * Somebody who has opened a page, and is in the picture unless they are elsewhere.
   * @param {string} path  or a whole address
   * @param {object} [options]
   * @param {number} [options.face]
   * @param {import("./pretend.js").Camera} [options.camera]
   * @param {boolean} [options.isElsewhere]
   * @param {unknown[]} [options.before]  a function that runs in the page before its first script, and its arguments
   * @returns {Promise<Guest>}
   */
  async visit(path, { face = 0, camera = "there", isElsewhere = false, before } = {}) {
    if (!this.#hairpin) await this.serve();
    const viewport = isElsewhere ? ELSEWHERE : this.viewport;
    const guest = /** @type {Guest} */ (await Guest.with(this.#browser, { viewport }));
    this.people.push(guest);
    await guest.page.evaluateOnNewDocument(pretend, { face, camera, isPhone: viewport.isMobile ?? false });
    if (before) await guest.page.evaluateOnNewDocument(...before);
    await guest.page.goto(new URL(path, this.origin).href);
    return guest;
  }

  /** Somebody who sees the lobby. @param {number} [face] @param {Parameters<Scene["visit"]>[1]} [options] */
  async lobby(face = 0, options = {}) {
    const guest = await this.visit(this.room, { face, ...options });
    await guest.page.$eval("#name", (input, name) => {
      input.value = name;
      input.dispatchEvent(new Event("input"));
    }, NAMES[face]);
    return guest;
  }

  /**
   * So many people in a call, the first of whom is the host.
   * @param {number} count
   * @param {number} [seen]  who is in the picture
   * @returns {Promise<Guest[]>}
   */
  async call(count, seen = 0) {
    const guests = [];
    for (let face = 0; face < count; face += 1) {
      const guest = await this.lobby(face, { isElsewhere: face !== seen });
      guests.push(await (await guest.isReady()).enter());
    }
    if (count > 1) await guests[0].sees(count - 1);
    return guests;
  }

  async close() {
    await Promise.all(this.people.map(({ page }) => page.browserContext().close()));
    await this.#hairpin?.kill();
  }
}
