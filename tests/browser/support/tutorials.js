/** The pages of tests/browser/tutorials on a site of their own, and people in front of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { fileURLToPath } from "node:url";

import { compatFile } from "./packages.js";

export const CLIENT = compatFile("socket.io-client/dist/socket.io.min.js");
const SCRIPTS = {
  "/socket.io.min.js": CLIENT,
  "/peerjs.min.js": compatFile("peerjs/dist/peerjs.min.js"),
};
const page = (name) => readFileSync(new URL(`../tutorials/${name}.html`, import.meta.url), "utf8");

/**
 * Serves the page `name` at `/name/…`, with this server in the place of its own, and at `/name/…?relay` with one script tag more.
 * @param {string} server
 * @param {string} [folder]  of its certificate; without one, it speaks plain HTTP
 */
export function site(server, folder) {
  const answerOne = (request, answer) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    if (pathname === "/favicon.ico") return answer.writeHead(204).end();
    if (SCRIPTS[pathname]) return answer.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(SCRIPTS[pathname]));
    const html = page(pathname.split("/")[1]).replaceAll("SERVER", server);
    const relay = searchParams.has("relay") ? `<script src="${server}/compat.js"></script>` : "";
    return answer.writeHead(200, { "content-type": "text/html" }).end(html.replace("<title>", `${relay}<title>`));
  };
  if (!folder) return createServer(answerOne);
  return createSecureServer({ cert: readFileSync(`${folder}/chain.pem`), key: readFileSync(`${folder}/key.pem`) }, answerOne);
}

/** Where each page has its room, and what its form is told. @type {Record<string, (room: string) => [string, string?]>} */
export const ROWS = {
  a: (room) => [`a/${room}`],
  b: (room) => [`b/${room}`],
  c: (room) => [`c/#${room}`],
  d: (room) => ["d/", room],
  e: (room) => [`e/${room}`],
};

/** The lines of `config.toml` for all of them. */
export const COMPAT = `[compat]
peerjs = "/peerjs"
socketio = true
socketio_client = "${fileURLToPath(CLIENT)}"
websocket = "/ws-relay"
script = true`;

/** Somebody in front of such a page. */
export class Learner {
  #page;
  #context;
  /** What the browser says of the page's script. @type {string[]} */
  said = [];

  /** @param {import("puppeteer-core").Browser} browser @param {string} address @param {string} [room]  for pages that ask for it */
  static async at(browser, address, room) {
    const context = await browser.createBrowserContext();
    const learner = new Learner(context, await context.newPage({ type: "window" }));
    await learner.go(address, room);
    return learner;
  }

  constructor(context, page) {
    this.#context = context;
    this.#page = page;
    page.setDefaultTimeout(30_000);
    page.on("console", (message) => this.said.push(message.text()));
    page.on("pageerror", (error) => this.said.push(`uncaught: ${error.message}`));
  }

  /** @param {string} address @param {string} [room] */
  async go(address, room) {
    await this.#page.evaluateOnNewDocument(() => {
      const Native = window.RTCPeerConnection;
      window.made = [];
      window.RTCPeerConnection = class RTCPeerConnection extends Native {
        constructor(...how) {
          super(...how);
          window.made.push(this);
        }
      };
    });
    await this.#page.goto(address);
    if (!room) return;
    await this.#page.type("input", room);
    await this.#page.click("button");
  }

  /** Comes again. @param {string} [room] */
  async reload(room) {
    await this.#page.reload();
    if (!room) return;
    await this.#page.type("input", room);
    await this.#page.click("button");
  }

  /** Waits until so many others move. @param {number} others */
  async sees(others) {
    const areMoving = async (others) => {
      const frames = new Map();
      for (const video of document.querySelectorAll("video.other")) frames.set(video, video.getVideoPlaybackQuality().totalVideoFrames);
      // Firefox does not count those of a call.
      for (const connection of navigator.userAgent.includes("Firefox") ? window.made : []) {
        const stats = [...(await connection.getStats()).values()];
        frames.set(connection, stats.find((it) => it.type === "inbound-rtp" && it.kind === "video")?.framesDecoded ?? 0);
      }
      const before = window.shown ?? new Map();
      window.shown = frames;
      return [...frames].filter(([what, count]) => count > (before.get(what) ?? Infinity)).length >= others;
    };
    try {
      await this.#page.waitForFunction(areMoving, { polling: 300 }, others);
    } catch (error) {
      throw new Error(`nobody is seen: ${error.message}\n${this.said.join("\n")}\n${await this.#state()}`);
    }
  }

  /** How many others the page shows. */
  shows() {
    return this.#page.$$eval("video.other", (videos) => videos.length);
  }

  /** Waits until the page says so. */
  until(predicate) {
    return this.#page.waitForFunction(predicate, { polling: 100 });
  }

  /** The types of the candidates by which its newest connection goes: its own and the other's. */
  async way() {
    return this.#page.evaluate(async () => {
      const connection = window.made.findLast((it) => it.iceConnectionState === "connected" || it.iceConnectionState === "completed");
      const stats = [...(await connection.getStats()).values()];
      const { selectedCandidatePairId } = stats.find((it) => it.type === "transport" && it.selectedCandidatePairId);
      const pair = stats.find((it) => it.id === selectedCandidatePairId);
      return [pair.localCandidateId, pair.remoteCandidateId].map((id) => stats.find((it) => it.id === id).candidateType);
    });
  }

  /** The servers of its newest connection. */
  servers() {
    return this.#page.evaluate(() => window.made.at(-1).getConfiguration().iceServers.flatMap(({ urls }) => urls));
  }

  /** That the page had nothing to complain of but what is expected. @param {...RegExp} expected */
  assertQuiet(...expected) {
    assert.deepEqual(this.said.filter((text) => !expected.some((it) => it.test(text))), []);
  }

  async close() {
    const context = this.#context;
    this.#context = null;
    await context?.close();
  }

  #state() {
    return this.#page.evaluate(() => JSON.stringify(window.made.map((it) => [it.signalingState, it.iceConnectionState, it.connectionState])));
  }
}
