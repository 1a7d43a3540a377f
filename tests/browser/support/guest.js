/** One person with a browser, on the call page: what they do, and what they see. */

import assert from "node:assert/strict";

import { watch } from "./watch.js";

const PATIENCE = 15_000;

/** A page that is watched: nothing in it may fail unnoticed. */
export class Visitor {
  page;
  /** What the browser complained about. @type {string[]} */
  complaints = [];
  #context;
  /** @type {RegExp[]} */
  #expected = [];

  /**
   * In a profile of its own: another person, though in the same browser.
   * @param {import("puppeteer-core").Browser} browser
   * @param {{ language?: string, theme?: "light" | "dark", viewport?: { width: number, height: number } }} [options]
   */
  static async with(browser, { language = "en", theme = "light", viewport = { width: 1280, height: 800 } } = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    const visitor = new this(page, context);
    page.setDefaultTimeout(PATIENCE);
    await page.setViewport(viewport);
    await page.evaluateOnNewDocument(watch);
    // As somebody who has chosen both before.
    await page.evaluateOnNewDocument((language, theme) => {
      try {
        localStorage.setItem("language", language);
        localStorage.setItem("theme", theme);
      } catch {} // about:blank has no storage
    }, language, theme);
    return visitor;
  }

  constructor(page, context) {
    this.page = page;
    this.#context = context;
    page.on("pageerror", (error) => this.complaints.push(`uncaught: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(`console: ${message.text()} ${message.location()?.url ?? ""}`);
    });
  }

  /** A complaint that the test provokes. @param {RegExp} complaint */
  expect(complaint) {
    this.#expected.push(complaint);
  }

  /** Ends it, and fails if anything was complained about. */
  async close() {
    const violations = await this.page.evaluate(() => window.watched?.violations ?? []);
    await this.#context.close();
    const unexpected = this.complaints.filter((complaint) => !this.#expected.some((it) => it.test(complaint)));
    assert.deepEqual([...unexpected, ...violations], []);
  }

  /** @param {string} selector */
  click(selector) {
    return this.page.locator(selector).click();
  }

  /** The text of an element, as it is shown. @param {string} selector */
  text(selector) {
    return this.page.$eval(selector, (element) => element.innerText.trim());
  }

  /** Waits until `predicate`, which runs in the page, says so. */
  until(predicate, ...values) {
    return this.page.waitForFunction(predicate, { polling: 50 }, ...values);
  }
}

export class Guest extends Visitor {
  /**
   * Somebody who has opened a room's link, and sees the lobby.
   * @param {import("puppeteer-core").Browser} browser
   * @param {string} url
   * @param {Parameters<typeof Visitor.with>[1] & { name?: string }} [options]
   * @returns {Promise<Guest>}
   */
  static async at(browser, url, { name = "Guest", ...options } = {}) {
    const guest = /** @type {Guest} */ (await Guest.with(browser, options));
    await guest.page.goto(url);
    await guest.page.waitForSelector("#enter:not(:disabled)");
    await guest.page.$eval("#name", (input, name) => {
      input.value = name;
    }, name);
    return guest;
  }

  /** The picture of the own camera is there. */
  async isReady() {
    await this.until(() => document.getElementById("preview-video").videoWidth > 0);
    return this;
  }

  /** Joins the room, and is in. */
  async enter() {
    await this.page.$eval("#enter", (button) => button.click());
    await this.until(() => !document.getElementById("call").hidden);
    return this;
  }

  /** Everybody else's picture moves: so many others, each with frames that come after this is asked. @param {number} count */
  async sees(count) {
    await this.until((count) => document.querySelectorAll("#stage .tile:not(.self)").length === count, count);
    const before = await this.frames();
    await this.until(
      (before, count) => {
        const now = [...document.querySelectorAll("#stage .tile:not(.self) video")].map((it) => it.getVideoPlaybackQuality().totalVideoFrames);
        return now.length === count && now.every((frames, i) => frames > (before[i] ?? 0) + 2);
      },
      before,
      count,
    );
  }

  /** How many frames each of the others has shown. @returns {Promise<number[]>} */
  frames() {
    return this.page.$$eval("#stage .tile:not(.self) video", (videos) => videos.map((it) => it.getVideoPlaybackQuality().totalVideoFrames));
  }

  /**
   * The candidate pairs in use, as the browser itself reports them.
   * @returns {Promise<{ state: string, local: string, remote: string, transport: string, epoch: number }[]>}
   */
  pairs() {
    return this.page.evaluate(async () => {
      const live = window.watched.connections.filter((pc) => pc.connectionState !== "closed");
      return Promise.all(live.map(async (pc) => {
        const all = [...(await pc.getStats()).values()];
        const byId = (id) => all.find((it) => it.id === id);
        const transport = all.find((it) => it.type === "transport");
        const pair = byId(transport?.selectedCandidatePairId) ?? all.find((it) => it.type === "candidate-pair" && it.selected);
        const [local, remote] = [byId(pair?.localCandidateId), byId(pair?.remoteCandidateId)];
        const relayed = local?.candidateType === "relay" ? (local.relayProtocol ?? "") : "";
        return { state: pc.connectionState, local: local?.candidateType, remote: remote?.candidateType, transport: relayed };
      }));
    });
  }

  /** How the panel says that this person is connected with each of the others. @returns {Promise<{ words: string, pair: string }[]>} */
  async connections() {
    if (await this.page.$eval("#connection", (sheet) => !sheet.offsetParent)) await this.page.$eval("#open-connection", (it) => it.click());
    await this.until(() => [...document.querySelectorAll(".tie .pair")].every((it) => it.textContent));
    return this.page.$$eval(".tie", (ties) =>
      ties.map((tie) => ({ words: tie.querySelector(".way").textContent, pair: tie.querySelector(".pair").textContent })),
    );
  }

  /** Switches to the relay alone, and is connected again with whoever is there. */
  async onlyRelay() {
    await this.page.$eval("#relay-only", (box) => box.click());
    await this.until(() => {
      const live = window.watched.connections.filter((pc) => pc.connectionState !== "closed");
      return live.every((pc) => pc.connectionState === "connected" && pc.getConfiguration().iceTransportPolicy === "relay");
    });
  }

  /** When something happened; see watch.js. */
  watched() {
    return this.page.evaluate(() => {
      const { connected, pictured, clicked, negotiations, gap } = window.watched;
      return { connected, pictured, clicked, negotiations, gap };
    });
  }
}
