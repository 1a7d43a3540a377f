/** Where the people of a test meet: a daemon on loopback, and a room that nobody else is in. */

import { launchChromium } from "./browser.js";
import { freePorts, onLoopback } from "./config.js";
import { Guest } from "./guest.js";
import { Hairpin } from "./hairpin.js";
import { Leftovers } from "./leftovers.js";
import { Visitor } from "./visitor.js";

/** All are at one address here, and come and go faster than people do. */
const CROWD = "sockets_per_ip = 100\njoins_per_minute = 1000";

/** @typedef {import("puppeteer-core").Browser} Browser */

export class Venue {
  /** @type {Hairpin} */
  hairpin;
  /** Where everybody's pages are, who is not said to have a browser of their own. @type {Browser} */
  browser;
  origin = "";
  #config = "";
  #rooms = 0;
  #file = new Leftovers();
  #test = new Leftovers();

  /**
   * For all tests of a file.
   * @param {{ tls?: boolean, rooms?: string, http?: string, launch?: () => Promise<Browser>, behind?: (http: number, tls: number) => Promise<string> }} [options]
   *   `rooms` and `http` are lines of those tables; `behind` is told the daemon's ports, and says which origin leads there
   */
  async open({ tls = false, rooms = "", http: ofHttp = "", launch = launchChromium, behind } = {}) {
    const [http, turn, secure] = await freePorts(3);
    const publicUrl = await behind?.(http, secure);
    this.origin = publicUrl ?? `http://localhost:${http}`;
    this.#config = onLoopback({ http, turn, publicUrl, ofHttp, ...(tls && { tls: secure }), more: `[rooms]\n${CROWD}\n${rooms}` });
    await this.serve();
    this.#file.add(() => this.hairpin.stop());
    this.browser = await this.launch(launch);
  }

  /** What the daemon is told, for commands that read it, too. */
  get config() {
    return this.#config;
  }

  /** The daemon, at the same ports each time. */
  async serve() {
    this.hairpin = await Hairpin.start(this.#config);
  }

  /** Another browser, for all tests of the file. @param {() => Promise<Browser>} launch */
  async launch(launch) {
    const browser = await launch();
    this.#file.add(() => browser.close());
    return browser;
  }

  /** A room that nobody was in before. */
  room() {
    this.#rooms += 1;
    return `${this.origin}/r/room ${this.#rooms}`;
  }

  /**
   * Somebody in the lobby of a room.
   * @param {string} room
   * @param {Parameters<typeof Guest.at>[2] & { browser?: Browser }} [options]
   */
  async guest(room, { browser = this.browser, ...options } = {}) {
    const guest = await Guest.at(browser, room, options);
    this.#test.add(() => guest.close());
    return guest;
  }

  /** Somebody who may go anywhere. @param {Parameters<typeof Visitor.with>[1]} [options] */
  async visitor(options, browser = this.browser) {
    const visitor = await Visitor.with(browser, options);
    this.#test.add(() => visitor.close());
    return visitor;
  }

  /** People in a call, in the order in which they came. @param {...(string | { name: string, browser?: Browser })} people */
  async call(...people) {
    const room = this.room();
    const guests = await Promise.all(people.map((it) => this.guest(room, typeof it === "string" ? { name: it } : it)));
    await Promise.all(guests.map((guest) => guest.isReady()));
    for (const guest of guests) await guest.enter();
    await Promise.all(guests.map((guest) => guest.sees(guests.length - 1)));
    return guests;
  }

  /** Somebody in a call, where nobody else is yet. @param {string} name */
  async alone(name) {
    const guest = await this.guest(this.room(), { name });
    await guest.isReady();
    return guest.enter();
  }

  /** After each test. */
  async clear() {
    await this.#test.clear();
  }

  /** After the last test. */
  async close() {
    await this.#file.clear();
  }
}
