/**
 * Takes a picture of every page in every state, in each size, language and theme, for somebody to look at:
 * `node tests/browser/screenshots.js [filter]`, into target/screenshots/. It fails where a state cannot be reached, and
 * judges nothing.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { launchChromium } from "./support/browser.js";
import { freePorts } from "./support/config.js";
import { crowd } from "./support/crowd.js";
import { Scene } from "./support/scene.js";

const FOLDER = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const PHONE = { isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const SIZES = {
  wide: { width: 1280, height: 800 },
  phone: { width: 390, height: 844, ...PHONE },
  small: { width: 320, height: 568, ...PHONE },
  lying: { width: 844, height: 390, ...PHONE },
  large: { width: 2560, height: 1440 },
  typing: { width: 390, height: 440, ...PHONE },
};
const EXTREME = new Set(["small", "lying", "large", "typing"]);
const LANGUAGES = ["en", "ko"];
const THEMES = ["light", "dark"];
/** How many people are on a stage. */
const NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8];

/** Where a server expects its pages. */
const RIGHT = "https://call.example.org";

/**
 * How a state comes to be: what `make` returns is who is in the picture. One that is `small` is also taken on a small
 * phone, on one that lies on its side, above a phone's keyboard, and on a large screen; of one that is `whole` all is seen,
 * however far it scrolls; `again` is done before each picture.
 * @typedef {import("./support/guest.js").Guest} Guest
 * @typedef {object} State
 * @property {(scene: Scene) => Promise<Guest>} make
 * @property {boolean} [small]
 * @property {boolean} [whole]
 * @property {(scene: Scene) => Promise<void>} [again]
 */

/** `chat-wide-en-light.png` is docs/call.png. @type {Record<string, State>} */
const STATES = {
  start: { small: true, make: (scene) => scene.visit("/") },
  "start-wrong": {
    make: async (scene) => {
      const guest = await scene.visit("/");
      await guest.page.type("#room", "https://elsewhere.example/r/");
      await guest.page.keyboard.press("Enter");
      return guest;
    },
  },
  "start-developers": {
    whole: true,
    make: async (scene) => {
      const guest = await scene.visit("/");
      await guest.click("summary");
      return guest;
    },
  },
  "start-invited": {
    small: true,
    make: async (scene) => {
      await scene.serve({ rooms: 'create = "token"' });
      return scene.visit("/");
    },
  },
  "start-password": {
    small: true,
    make: async (scene) => {
      await scene.serve({ rooms: `create = "password"\npassword_hash = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE"` });
      const guest = await scene.visit("/");
      await guest.page.waitForSelector(".welcome:not(.is-asking)");
      await guest.click("#new");
      await guest.page.waitForSelector("dialog.ask[open]");
      return guest;
    },
  },
  "start-elsewhere": { small: true, make: (scene) => scene.visit("/", { before: [keepOut, { allowed: false, expected: RIGHT }] }) },
  "start-unnamed": { make: (scene) => scene.visit("/", { before: [keepOut, { allowed: false, expected: null }] }) },
  lost: { make: (scene) => scene.visit("/nowhere") },

  safety: { small: true, whole: true, make: (scene) => scene.visit("/safety") },

  "lobby-more": {
    make: async (scene) => {
      const guest = await (await scene.lobby()).isReady();
      await guest.click("summary");
      await guest.page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      return guest;
    },
  },
  lobby: { small: true, make: async (scene) => (await scene.lobby()).isReady() },
  "lobby-off": {
    make: async (scene) => {
      const guest = await (await scene.lobby()).isReady();
      await press(guest, "preview-cam", "preview-mic");
      return guest;
    },
  },
  "lobby-asking": { make: (scene) => lobby(scene, "asking") },
  "lobby-denied": { make: (scene) => lobby(scene, "denied"), small: true },
  "lobby-missing": { make: (scene) => lobby(scene, "missing") },
  "lobby-in-an-app": { small: true, make: async (scene) => known(await scene.lobby(0, { before: [openInApp] })) },
  "lobby-rehearsal": {
    make: async (scene) => {
      const guest = await (await scene.lobby()).isReady();
      await guest.click("summary");
      await (await guest.page.$$("#lobby-devices > button")).at(-1).click();
      await guest.page.waitForSelector(".rehearsal");
      await guest.page.$eval(".rehearsal", (it) => it.scrollIntoView({ block: "center" }));
      return guest;
    },
  },
  "lobby-insecure": { make: (scene) => lobby(scene, "insecure") },
  "lobby-joining": {
    make: async (scene) => {
      const guest = await (await scene.lobby()).isReady();
      await scene.silence();
      await press(guest, "enter");
      return guest;
    },
  },

  taken: {
    small: true,
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await guest.page.evaluate(loseDevices);
      await guest.until(() => document.querySelectorAll(".taken").length === 2);
      return guest;
    },
  },
  keys: {
    small: true,
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await guest.page.keyboard.type("?");
      await guest.page.waitForSelector("dialog.keys[open]");
      return guest;
    },
  },
  alone: { make: (scene) => call(scene, 1), small: true },
  two: { make: (scene) => call(scene, 2), small: true },
  three: { make: (scene) => call(scene, 3) },
  four: { make: (scene) => call(scene, 4) },
  ...Object.fromEntries(NUMBERS.map((count) => [`stage-${count}`, gathered(count)])),
  ...Object.fromEntries(NUMBERS.map((count) => [`stage-${count}-screen`, gathered(count, count > 1 ? { screens: 1 } : { own: true })])),
  menu: {
    small: true,
    make: (scene) => gathered(3).make(scene),
    again: async ({ people: [guest] }) => {
      await guest.page.keyboard.press("Escape");
      await press(guest, "more");
      await guest.page.waitForSelector(".menu:popover-open");
    },
  },
  "stage-6-speaker": gathered(6, { layout: "speaker" }),
  "stage-4-pinned": gathered(4, { pinned: 2 }),
  "stage-3-screens": gathered(3, { screens: 2 }),
  "stage-2-own": gathered(2, { own: true }),
  "stage-4-own": gathered(4, { own: true }),
  "stage-2-upright": gathered(2, { isUpright: true }),
  "stage-4-upright": gathered(4, { isUpright: true }),
  muted: {
    make: async (scene) => {
      const guests = await scene.call(3);
      for (const guest of guests.slice(0, 2)) await press(guest, "cam", "mic");
      await guests[0].until(() => document.querySelectorAll("#stage .without-picture").length === 2);
      return guests[0];
    },
  },
  "two-muted": {
    make: async (scene) => {
      const guests = await scene.call(2);
      for (const guest of guests) await press(guest, "cam", "mic");
      await guests[0].until(() => document.querySelectorAll("#stage .without-picture").length === 2);
      return guests[0];
    },
  },
  screen: {
    make: async (scene) => {
      const guests = await scene.call(4);
      await press(guests[1], "share");
      await guests[0].until(() => document.querySelector(".large video")?.videoWidth === 1280);
      return guests[0];
    },
  },
  sharing: {
    make: async (scene) => {
      const guests = await scene.call(3);
      if (!scene.viewport.isMobile) await press(guests[0], "share");
      return guests[0];
    },
  },
  away: {
    make: async (scene) => {
      const guests = await scene.call(3);
      await guests[2].page.goto("about:blank");
      await guests[1].page.evaluate(() => window.watched.connections.forEach((it) => it.close()));
      await guests[0].until(() => document.querySelectorAll(".tile-state:not(:empty)").length > 0);
      return guests[0];
    },
  },
  chat: { make: async (scene) => (await chatting(scene))[0], small: true },
  "chat-empty": { make: async (scene) => open((await scene.call(2))[0], "chat") },
  "chat-links": { small: true, make: (scene) => showing(scene) },
  "chat-directions": {
    make: async (scene) => {
      const [ada, hana] = await scene.call(2);
      await open(ada, "chat");
      await say(hana, "שלום! זה קובץ 7 מתוך 12 (אחרון)");
      await say(hana, "And this one is English again.");
      await ada.until(() => document.querySelectorAll("#log .text").length === 2);
      return ada;
    },
  },
  unread: {
    make: (scene) => call(scene, 3),
    again: (scene) => say(scene.people[1], "안녕하세요! 잘 보여요. 소리도 잘 들려요?"),
  },
  people: { make: async (scene) => open((await scene.call(3))[0], "people") },
  recording: {
    small: true,
    make: async (scene) => {
      const [ada, hana] = await scene.call(3);
      await ada.page.evaluate(() => delete window.showSaveFilePicker);
      await press(ada, "more");
      await ada.page.waitForSelector(".menu button");
      await ada.page.$$eval(".menu button", (all) => all.find((it) => it.innerText === "Record this call").click());
      await hana.until(() => !document.getElementById("recording").hidden);
      return ada;
    },
  },
  gestures: {
    small: true,
    make: async (scene) => {
      const [ada, ...others] = await scene.call(3);
      for (const guest of others) await guest.page.$eval("#gestures button:last-child", (it) => it.click());
      await ada.page.$eval("#gestures", (it) => it.showPopover());
      return ada;
    },
    again: async ({ people: [, hana, grace] }) => {
      await hana.page.$eval("#gestures button", (it) => it.click());
      await grace.page.$eval("#gestures button:nth-child(5)", (it) => it.click());
      await setTimeout(600);
    },
  },
  "people-hands": {
    small: true,
    make: async (scene) => {
      const [ada, ...others] = await scene.call(3);
      for (const guest of others) await guest.page.$eval("#gestures button:last-child", (it) => it.click());
      await press(others[0], "mic");
      await ada.until(() => document.querySelectorAll(".plate .hand:not([hidden])").length === 2);
      return open(ada, "people");
    },
  },
  "people-remove": { small: true, make: async (scene) => removing((await scene.call(3))[0]) },
  "people-guest": {
    make: async (scene) => {
      const guests = await scene.call(3);
      await press(guests[2], "mic");
      await open(guests[0], "people");
      for (const button of [".host-only button", ".menu button", ".ask .primary"]) await guests[0].page.waitForSelector(button).then((it) => it.evaluate((it) => it.click()));
      await guests[0].until(() => document.getElementById("host-tools").hidden);
      return guests[0];
    },
  },
  knock: {
    make: async (scene) => {
      await scene.serve({ rooms: "knock = true" });
      return call(scene, 1);
    },
    // What is said in passing does not change its language.
    again: async (scene) => {
      for (const { page } of scene.people.splice(1)) await page.browserContext().close();
      await knocking(scene, 1);
    },
  },
  "knock-people": {
    make: async (scene) => {
      await scene.serve({ rooms: "knock = true" });
      const guest = await call(scene, 1);
      for (const face of [1, 2]) await knocking(scene, face);
      return open(guest, "people");
    },
  },
  connection: { make: async (scene) => open((await scene.call(2))[0], "connection", 6_000) },
  proof: {
    small: true,
    make: async (scene) => {
      const [ada] = await scene.call(2);
      await ada.until(() => !document.querySelector(".toast"));
      await open(ada, "connection");
      await ada.until(() => document.querySelectorAll(".proof li").length === 4);
      return ada;
    },
    again: ({ people: [ada] }) => ada.page.$eval(".proof", (it) => it.scrollIntoView({ block: "center" })),
  },
  "connection-three": { make: async (scene) => open((await scene.call(3))[0], "connection", 4_000) },
  "connection-empty": { make: async (scene) => open((await scene.call(1))[0], "connection") },
  settings: { make: async (scene) => open((await scene.call(2))[0], "settings") },
  invite: {
    small: true,
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await press(guest, "invite");
      return guest;
    },
  },
  locked: {
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await open(guest, "people");
      await press(guest, "lock", "panel-close");
      return guest;
    },
  },
  tap: {
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await guest.page.$eval("#tap", (it) => (it.hidden = false));
      return guest;
    },
  },
  reconnecting: { make: (scene) => deserted(scene, 0) },
  "gone-muted": {
    make: async (scene) => {
      const guest = await deserted(scene, 0);
      await press(guest, "mic", "cam");
      return open(guest, "chat");
    },
  },
  gone: { make: (scene) => deserted(scene, 10_500) },

  "notice-connecting": {
    make: async (scene) => {
      const guest = await STATES["lobby-joining"].make(scene);
      await guest.until(() => !document.getElementById("notice").hidden);
      return guest;
    },
  },
  "notice-waiting": {
    small: true,
    make: async (scene) => {
      await scene.serve({ rooms: "knock = true" });
      await scene.call(1);
      return refused(scene);
    },
  },
  "notice-denied": {
    make: async (scene) => {
      await scene.serve({ rooms: "knock = true" });
      const [host] = await scene.call(1);
      const guest = await refused(scene);
      await open(host, "people");
      await host.page.waitForSelector("#knocks button:last-child").then((it) => it.evaluate((it) => it.click()));
      await guest.until(() => document.querySelector("#notice-actions button"));
      return guest;
    },
  },
  "notice-full": {
    make: async (scene) => {
      await scene.serve({ rooms: "capacity = 2" });
      await scene.call(2);
      return refused(scene);
    },
  },
  "notice-locked": {
    make: async (scene) => {
      const [host] = await scene.call(1);
      await open(host, "people");
      await press(host, "lock");
      await host.until(() => document.getElementById("lock").checked);
      return refused(scene);
    },
  },
  "notice-key": {
    make: async (scene) => {
      scene.room += "#k=complete";
      await scene.call(1);
      scene.room = scene.room.split("#")[0];
      return refused(scene);
    },
  },
  "notice-elsewhere": { small: true, make: (scene) => keptOut(scene, { allowed: false, expected: RIGHT }) },
  "notice-unnamed": { make: (scene) => keptOut(scene, { allowed: false, expected: null }) },
  "notice-altered": { make: (scene) => keptOut(scene, { allowed: false, origin: null }) },
  "notice-too-many": { small: true, make: (scene) => keptOut(scene, { sockets: "too_many" }) },
  "notice-server-full": { make: (scene) => keptOut(scene, { sockets: "full" }) },
  "notice-draining": { make: (scene) => keptOut(scene, { sockets: "draining" }) },
  "notice-blocked": { make: (scene) => keptOut(scene, {}) },
  "notice-not-begun": {
    make: async (scene) => {
      await scene.serve({ rooms: 'create = "token"' });
      return refused(scene);
    },
  },
  "banner-too-many": {
    make: async (scene) => {
      const guest = await call(scene, 2);
      await guest.page.evaluate(keepOut, { sockets: "too_many" });
      await scene.silence();
      await guest.until(() => document.getElementById("banner").textContent.includes("network"));
      return guest;
    },
  },
  "notice-kicked": { make: (scene) => ended(scene, ".host-only button", ".menu button:last-child", ".ask .danger") },
  "notice-ended": { make: (scene) => ended(scene, "#end", ".ask .danger") },
  "notice-left": {
    make: async (scene) => {
      const [guest] = await scene.call(2);
      await press(guest, "leave");
      return guest;
    },
  },

  ...Object.fromEntries(Object.entries({ start: "start", lobby: "lobby", people: "people-hands", connection: "connection", chat: "chat", stage: "stage-6" }).map(
    ([page, state]) => [`contrast-${page}`, { make: async (scene) => inForcedColors(await STATES[state].make(scene)) }],
  )),
  framed: { small: true, make: (scene) => framed(scene) },
  "framed-call": {
    make: async (scene) => {
      const guest = await framed(scene);
      await guest.page.evaluate(() => document.getElementById("enter").click());
      await guest.page.waitForFunction(() => !document.getElementById("call").hidden);
      return guest;
    },
  },
  status: { small: true, make: (scene) => status(scene) },
  "status-wrong": { make: (scene) => status(scene, "hairpin_guessed") },

  "check-running": {
    make: (scene) => scene.visit("/check", { before: [() => (window.fetch = () => new Promise(() => {}))] }),
  },
  "check-good": { small: true, whole: true, make: (scene) => check(scene) },
  "check-no-tls": {
    small: true,
    whole: true,
    make: async (scene) => {
      await scene.serve({ tls: false });
      return check(scene);
    },
  },
  "check-elsewhere": { small: true, whole: true, make: async (scene) => checked(await scene.visit("/check", { before: [keepOut, { allowed: false, expected: RIGHT }] })) },
  "check-blocked": { whole: true, make: async (scene) => checked(await scene.visit("/check", { before: [keepOut, {}] })) },
  "check-loopback": { whole: true, make: (scene) => check(scene, ["(stun:127.0.0.1|turn:127.0.0.1):\\d+", "$1:9"]) },
  "check-token": {
    make: async (scene) => {
      await scene.serve({ rooms: 'create = "token"' });
      return checked(await scene.visit("/check"));
    },
  },
  "check-some": {
    whole: true,
    make: async (scene) => {
      await scene.serve({ tls: false });
      return check(scene, ["stun:127.0.0.1:\\d+", "stun:192.0.2.1:9"], ["127.0.0.1:\\d+(\\?transport=udp)", "192.0.2.1:9$1"]);
    },
  },
  "check-bad": {
    whole: true,
    make: (scene) => check(scene, ['"credential":"', "$&wrong"], ["127.0.0.1:\\d+(\\?transport=tcp)", "192.0.2.1:1$1"]),
  },
  "check-limited": {
    make: async (scene) => {
      const guest = await checked(await scene.visit("/"));
      await guest.page.evaluate(() => Promise.all([...Array(20)].map(() => fetch("/api/v1/check-ice", { method: "POST" }))));
      await guest.page.goto(guest.page.url() + "check");
      return checked(guest);
    },
  },
};

/** Whoever asks to come in, and is kept out. @param {Scene} scene @param {object} answer  of the server, but for what is usual */
async function keptOut(scene, answer) {
  const guest = await scene.lobby(0, { before: [keepOut, answer] });
  await press(await guest.isReady(), "enter");
  await guest.until(() => !document.getElementById("notice").hidden);
  return guest;
}

/** Runs inside the page: no socket opens any more, and the server says why. */
function keepOut(answer) {
  window.WebSocket = class {
    constructor() {
      setTimeout(() => this.onclose?.({ code: 1006, reason: "" }), 50);
    }
    close() {}
  };
  const ask = window.fetch.bind(window);
  const usual = { origin: location.origin, expected: null, allowed: true, needs_token: false, sockets: "ok", create: "anyone", tls: true };
  window.fetch = async (url, ...rest) => {
    if (url.endsWith("/door")) return Response.json({ ...usual, ...answer });
    if (url.endsWith("/check-ice") && answer.allowed === false) return new Response("", { status: 403 });
    return ask(url, ...rest);
  };
}

/** Runs inside the page: it is open in the browser of an app, which has no camera. */
function openInApp() {
  Object.defineProperty(navigator, "userAgent", { value: `${navigator.userAgent} Instagram 361.0.0.46.88 Android` });
  Object.defineProperty(navigator, "mediaDevices", { value: undefined });
}

/** What is wrong is said. @param {Guest} guest */
async function known(guest) {
  await guest.until(() => !document.getElementById("trouble").hidden);
  return guest;
}

/** As Windows shows it to people who need high contrast. @param {Guest} guest */
async function inForcedColors(guest) {
  const session = await guest.page.createCDPSession();
  await session.send("Emulation.setEmulatedMedia", { features: [{ name: "forced-colors", value: "active" }] });
  return guest;
}

/** The example of docs/embedding, whose frame is what is dressed. @param {Scene} scene */
async function framed(scene) {
  const [, , , port] = await freePorts(4);
  await scene.serve({ http: `frame_ancestors = ["http://localhost:${port}"]` });
  const page = readFileSync(new URL("../../docs/embedding/example.html", import.meta.url), "utf8").replace("https://call.example.org", scene.origin);
  const site = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(page)).listen(port, "127.0.0.1");
  const guest = await scene.visit(`http://localhost:${port}`);
  const frame = await guest.page.waitForFrame((it) => it.url().includes("/r/"));
  await frame.waitForSelector("#enter:not([disabled])");
  site.close();
  return { page: Object.assign(frame, { screenshot: (options) => guest.page.screenshot(options) }) };
}

/** The operator's page. @param {Scene} scene @param {string} [token] */
async function status(scene, token = "hairpin_of_the_pictures") {
  const [, , , , port] = await freePorts(5);
  const hash = createHash("sha256").update("hairpin_of_the_pictures").digest("hex");
  await scene.serve({ admin: `listen = ["127.0.0.1:${port}"]\ntoken_hash = "sha256:${hash}"` });
  const guest = await scene.visit(`http://127.0.0.1:${port}/`);
  guest.expect(/status of 401/);
  await guest.page.waitForSelector("#login:not([hidden])");
  await guest.page.type("#token", token);
  await guest.page.keyboard.press("Enter");
  await guest.page.waitForSelector('#summary[data-mood="good"], #token-wrong:not([hidden])');
  return guest;
}

/** @param {Scene} scene @param {import("./support/pretend.js").Camera} camera */
async function lobby(scene, camera) {
  return known(await scene.lobby(0, { camera }));
}

/** @param {Scene} scene @param {number} count */
async function call(scene, count) {
  return (await scene.call(count))[0];
}

/** A full stage; only whoever is in the picture has a browser. @param {number} count @param {Parameters<typeof crowd>[2]} [options] @returns {State} */
function gathered(count, options) {
  return { small: true, make: async (scene) => crowd(await call(scene, 1), count, options) };
}

/** @param {Guest} guest @param {string} sheet @param {number} [wait]  until it has something to show */
async function open(guest, sheet, wait = 0) {
  const isShort = await guest.page.$eval(`#open-${sheet}`, (it) => !it.offsetParent);
  if (isShort) await press(guest, "open-people", `tab-${sheet}`);
  else await press(guest, `open-${sheet}`);
  await setTimeout(wait);
  return guest;
}

/** As with a finger: what is focused by it shows no ring. @param {Guest} guest @param {...string} ids */
async function press(guest, ...ids) {
  for (const id of ids) await guest.click(`#${id}`);
}

/** @param {Guest} guest @param {string} words */
function say(guest, words) {
  return guest.page.evaluate((words) => {
    document.getElementById("message").value = words;
    document.getElementById("composer").requestSubmit();
  }, words);
}

/** Somebody who waits to be let in. @param {Scene} scene @param {number} face */
async function knocking(scene, face) {
  const guest = await refused(scene, face);
  await scene.people[0].until((count) => document.querySelector("#count:not(.quiet)")?.textContent === String(count), scene.people.length - 1);
  return guest;
}

/** Whoever comes to a call that goes on, and sees why they are not in it. @param {Scene} scene */
async function refused(scene, face = 3) {
  const guest = await scene.lobby(face);
  await press(await guest.isReady(), "enter");
  await guest.until(() => !document.getElementById("notice").hidden);
  return guest;
}

/** What the host does to whoever else is there, who is in the picture. @param {Scene} scene @param {...string} buttons  pressed one after the other */
async function ended(scene, ...buttons) {
  const [host, guest] = await scene.call(2, 1);
  await open(host, "people");
  for (const button of buttons) await host.page.waitForSelector(button).then((it) => it.evaluate((it) => it.click()));
  await guest.until(() => !document.getElementById("notice").hidden);
  return guest;
}

/** A host who is about to remove somebody. @param {Guest} host */
async function removing(host) {
  await open(host, "people");
  for (const button of [".host-only button", ".menu button:last-child"]) await host.page.waitForSelector(button).then((it) => it.evaluate((it) => it.click()));
  await host.page.waitForSelector(".ask");
  return host;
}

/** A call whose server is gone for a while. @param {Scene} scene @param {number} wait */
async function deserted(scene, wait) {
  const guest = await call(scene, 3);
  // Afterwards no language can be had any more.
  for (const language of LANGUAGES.toReversed()) await dress(guest, language, THEMES[0]);
  await scene.silence();
  await guest.until(() => document.getElementById("banner").textContent !== "");
  await setTimeout(wait);
  return guest;
}

/** People who write, and send files. @param {Scene} scene */
async function chatting(scene) {
  const [ada, hana, grace] = await scene.call(3);
  await open(ada, "chat");
  await ada.until(() => !document.querySelector(".toast"));
  await say(hana, "안녕하세요! 잘 보여요");
  await heard(1);
  await say(grace, "Who has the plan for Busan?");
  await heard(2);
  await say(ada, "I do, here it comes.");
  await send(ada, "여행 계획.pdf", 40);
  for (const guest of [hana, grace]) await accept(guest);
  await send(grace, "Gamcheon Culture Village, the view from the stairs.jpg", 3);
  await ada.until(() => document.querySelectorAll(".parcel").length === 2);
  await ada.page.evaluate(() => document.activeElement.blur());
  return [ada, hana, grace];

  /** @param {number} count */
  function heard(count) {
    return ada.until((count) => document.querySelectorAll("#log .text").length === count, count);
  }

  /** @param {Guest} guest */
  async function accept(guest) {
    const button = await guest.page.waitForSelector(".parcel .primary");
    await button.evaluate((it) => it.click());
  }
}

/** People who send addresses and pictures. @param {Scene} scene */
async function showing(scene) {
  const [ada, hana] = await scene.call(2);
  await open(ada, "chat");
  await say(hana, "여기 어때요? https://example.org/busan/gamcheon-culture-village?from=call&language=ko&season=autumn");
  await say(ada, "Lovely! Look:");
  await ada.page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 900, height: 600 });
    const c = canvas.getContext("2d");
    const sky = c.createLinearGradient(0, 0, 0, 600);
    for (const [at, colour] of [[0, "#87b6d9"], [0.6, "#f4d9b8"], [0.61, "#4f7d8c"], [1, "#274b58"]]) sky.addColorStop(at, colour);
    c.fillStyle = sky;
    c.fillRect(0, 0, 900, 600);
    const data = new DataTransfer();
    data.items.add(new File([await new Promise((done) => canvas.toBlob(done))], "image.png", { type: "image/png" }));
    document.getElementById("message").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await (await hana.page.waitForSelector(".parcel .primary")).evaluate((it) => it.click());
  await ada.until(() => document.querySelector(".parcel img")?.naturalWidth > 0 && document.querySelectorAll("#log .text").length === 2);
  await ada.until(() => !document.querySelector(".toast"));
  return ada;
}

/** @param {Guest} guest @param {string} name @param {number} megabytes */
function send(guest, name, megabytes) {
  return guest.page.evaluate((name, megabytes) => {
    const chosen = new DataTransfer();
    chosen.items.add(new File(Array(megabytes).fill(new Uint8Array(1e6)), name));
    const input = document.getElementById("file");
    input.files = chosen.files;
    input.dispatchEvent(new Event("change"));
  }, name, megabytes);
}

/** The check is done, though with other ICE servers than the daemon names. @param {Scene} scene @param {...[pattern: string, by: string]} changes */
async function check(scene, ...changes) {
  return checked(await scene.visit("/check", { before: [mistake, ...changes] }));

  function mistake(...changes) {
    const ask = window.fetch.bind(window);
    window.fetch = async (...words) => {
      const answer = await (await ask(...words)).text();
      return new Response(changes.reduce((text, [pattern, by]) => text.replace(new RegExp(pattern, "g"), by), answer));
    };
  }
}

/** @param {Guest} guest */
async function checked(guest) {
  await guest.page.waitForFunction(() => !document.getElementById("again")?.disabled, { timeout: 20_000 });
  return guest;
}

/** Puts a page that is open into another language and theme. @param {Guest} guest @param {string} language @param {string} theme */
function dress(guest, language, theme) {
  return guest.page.evaluate(async (language, theme) => {
    const { setLanguage } = await import(new URL("view/language.js", document.querySelector("script[type=module]").src));
    await setLanguage(language);
    document.documentElement.dataset.theme = theme;
    for (const [label, value] of [["bar.language", language], ["bar.theme", theme]]) {
      for (const select of document.querySelectorAll(`select[data-t-label="${label}"]`)) select.value = value;
    }
    document.body.scrollTo(0, 0);
  }, language, theme);
}

/** The fonts that most people have are not on a server: these are like them. */
function chooseFonts() {
  const instead = (family) => `
    <match target="pattern">
      <test name="family"><string>${family}</string></test>
      <edit name="family" mode="assign" binding="strong"><string>Inter</string><string>NanumBarunGothic</string></edit>
    </match>`;
  const rules = ["system-ui", "sans-serif", "sans"].map(instead).join("");
  process.env.FONTCONFIG_FILE = `${FOLDER}fonts.conf`;
  writeFileSync(process.env.FONTCONFIG_FILE, `<fontconfig><include>/etc/fonts/fonts.conf</include>${rules}</fontconfig>`);
}

mkdirSync(FOLDER, { recursive: true });
chooseFonts();
const filter = new RegExp(process.argv[2] ?? "");
const browser = await launchChromium();
for (const [name, { make, again, small, whole }] of Object.entries(STATES)) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    if (!filter.test(`${name}-${size}`) || (EXTREME.has(size) && !small)) continue;
    await picture(`${name}-${size}`, viewport, { make, again, whole });
  }
}
await browser.close();

/** In each language and theme. */
async function picture(name, viewport, { make, again, whole }) {
  const scene = await Scene.open(browser, viewport);
  try {
    const guest = await make(scene);
    for (const language of LANGUAGES) {
      for (const theme of THEMES) {
        await dress(guest, language, theme);
        await again?.(scene);
        await setTimeout(300);
        await guest.page.screenshot({ path: `${FOLDER}${name}-${language}-${theme}.png`, fullPage: whole });
      }
    }
    console.log(name);
  } catch (error) {
    console.log(`${name}: ${error.message}`);
    process.exitCode = 1;
  } finally {
    await scene.close();
  }
}

/** Runs in the page: the camera is pulled out, and a phone call takes the microphone. */
function loseDevices() {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("as pretended", "NotFoundError"));
  const { track } = window.watched.connections[0].getSenders().find((sender) => sender.track?.kind === "audio");
  Object.defineProperty(track, "muted", { value: true });
  track.dispatchEvent(new Event("mute"));
  document.querySelector("#stage .self video").srcObject.getVideoTracks()[0].dispatchEvent(new Event("ended"));
}
