/** One person with a browser, on the call page: what they do, and what they see. */

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";

import { Visitor } from "./visitor.js";

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
    await guest.#isInLobby();
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

  /** Asks to be let in. */
  async knock() {
    await this.#isInLobby();
    await this.page.$eval("#enter", (button) => button.click());
  }

  /** Joins the room, and is in. */
  async enter() {
    await this.knock();
    await this.until(() => !document.getElementById("call").hidden);
    return this;
  }

  /** Everybody else's picture moves: so many others, each with frames that come after this is asked. @param {number} count */
  async sees(count) {
    await this.page.evaluate(() => window.watched.videos().forEach((video) => (video.framesBefore = video.frames)));
    await this.until((count) => {
      const videos = window.watched.videos();
      return videos.length === count && videos.every(({ frames = 0, framesBefore = 0 }) => frames > framesBefore + 2);
    }, count);
  }

  /**
   * The candidate pairs in use, as the browser itself reports them.
   * @returns {Promise<{ state: string, local: string, remote: string, transport: string }[]>}
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

  /**
   * The safety number with the only other person, once the panel shows it, and what the panel says of it.
   * @param {string} [standing]
   * @returns {Promise<{ signs: string[], digits: string }>}
   */
  async safety(standing = "known") {
    await this.connections();
    await this.until((standing) => {
      const proof = document.querySelector(".proof");
      const count = standing === "broken" ? 0 : 4;
      return proof?.dataset.standing === standing && proof.querySelectorAll("li").length === count;
    }, standing);
    return this.page.$eval(".proof", (proof) => ({
      signs: [...proof.querySelectorAll("li")].map((it) => it.innerText.replace(/\s+/g, " ")),
      digits: proof.querySelector(".digits").innerText,
    }));
  }

  /** The only pair in use, once it is what the panel says. */
  async way(limit = 5_000) {
    const [pair, ...others] = await this.pairs();
    const [shown] = await this.connections();
    assert.deepEqual(others, []);
    const { local, remote, transport } = pair;
    const isShown = shown.pair.startsWith(`${local}${transport && `/${transport}`} ↔ ${remote} `) && inWords(pair).test(shown.words);
    if (isShown) return pair;
    // It looks once a second, and a better way may just have been found.
    assert.ok(limit > 0, `the panel says ${JSON.stringify(shown)} of ${JSON.stringify(pair)}`);
    await setTimeout(250);
    return this.way(limit - 250);
  }

  /** Switches to the relay alone, or back, and is connected again with whoever is there. */
  async onlyRelay(only = true) {
    await this.page.$eval("#relay-only", (box) => box.click());
    await this.until((policy) => {
      const live = window.watched.connections.filter((pc) => pc.connectionState !== "closed");
      return live.every((pc) => pc.connectionState === "connected" && pc.getConfiguration().iceTransportPolicy === policy);
    }, only ? "relay" : "all");
  }

  /** What the others are shown of this person. @param {string} name @param {{ muted?: boolean, picture?: boolean, screen?: boolean }} look */
  async looks(name, look) {
    await this.until((name, look) => {
      const tile = [...document.querySelectorAll("#stage .tile:not(.self)")].find((it) => it.ariaLabel === name);
      if (!tile) return false;
      const shown = {
        muted: !tile.querySelector(".muted").hasAttribute("hidden"),
        picture: !tile.classList.contains("without-picture"),
        screen: [...document.querySelectorAll("#stage .tile.screen")].some((it) => it.ariaLabel === `${name}’s screen`),
      };
      return Object.entries(look).every(([what, is]) => shown[what] === is);
    }, name, look);
  }

  /** Writes to the others. @param {string} text */
  async say(text) {
    if (await this.page.$eval("#chat", (sheet) => !sheet.offsetParent)) await this.click("#open-chat");
    await this.page.$eval("#message", (message, text) => {
      message.value = text;
      message.form.requestSubmit();
    }, text);
  }

  /** Somebody else has written this. @param {string} name @param {string} text */
  async hears(name, text) {
    await this.until((name, text) => {
      const lines = [...document.querySelectorAll("#log .said")];
      const line = lines.findLastIndex((it) => it.querySelector(".text")?.textContent === text && !it.classList.contains("mine"));
      // The name stands above the first of several lines.
      return lines.slice(0, line + 1).findLast((it) => it.querySelector(".by"))?.querySelector(".by").textContent === name;
    }, name, text);
  }

  /** Is told instead of being in the call. @param {string} title */
  async isTold(title) {
    await this.until((title) => document.getElementById("notice-title").innerText === title, title);
  }

  /** When something happened; see watch.js. */
  watched() {
    return this.page.evaluate(() => {
      const { connected, pictured, clicked, negotiations, gap, toasts } = window.watched;
      return { connected, pictured, clicked, negotiations, gap, toasts };
    });
  }

  /** The page can be used. */
  async #isInLobby() {
    await this.page.waitForSelector("#enter:not(:disabled)");
  }
}

/** What the panel says of a pair to those who do not know the terms. */
function inWords({ local, remote, transport }) {
  if (local === "relay") return new RegExp(`^Through the relay, over ${transport.toUpperCase()}$`);
  if (remote === "relay") return /^Through the relay that \w+ uses$/;
  return local === "host" && remote === "host" ? /^Direct connection in the same network$/ : /^Direct connection$/;
}
