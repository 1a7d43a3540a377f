/** Getting into a call, or not: what people are told, and what they can do about it. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Guest } from "./support/guest.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open({ tls: true, rooms: "capacity = 2" }));
afterEach(() => venue.clear());
after(() => venue.close());

test("where TLS is the only way to the relay, people meet over TLS", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: onlyTls }, { name: "Bob", prepare: onlyTls });
  await Promise.all([alice.onlyRelay(), bob.onlyRelay()]);
  await Promise.all([alice.sees(1), bob.sees(1)]);
  for (const guest of [alice, bob]) {
    const [{ local, remote, transport }] = await guest.pairs();
    assert.deepEqual([local, remote, transport], ["relay", "relay", "tls"]);
  }
});

test("whoever comes to a full room is told, and gets in once somebody has left", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const carol = await venue.guest(alice.page.url(), { name: "Carol" });
  await carol.knock();
  await carol.isTold("The room is full");
  // when
  await bob.click("#leave");
  await alice.sees(0);
  await carol.click("#notice-actions button");
  await carol.enter();
  // then
  await Promise.all([alice.sees(1), carol.sees(1)]);
});

test("whoever has a link without its key is told so, and comes in with the whole link", async () => {
  const room = venue.room();
  const alice = await venue.guest(`${room}#k=secret`, { name: "Alice" });
  await alice.enter();
  const bob = await venue.guest(room, { name: "Bob" });
  await bob.knock();
  await bob.isTold("The link is incomplete");
  // when
  const typed = await bob.page.waitForSelector("#pasted");
  await typed.type("https://elsewhere.example/r/x");
  await bob.page.keyboard.press("Enter");
  await bob.until(() => document.querySelector(".paste .wrong").innerText);
  await typed.evaluate((field) => (field.value = ""));
  await typed.type(`${room}#k=secret`);
  await bob.page.keyboard.press("Enter");
  // then
  await bob.page.waitForFunction(() => location.hash === "#k=secret" && document.getElementById("enter")?.disabled === false);
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

test("a locked room lets nobody in until the host unlocks it", async () => {
  const alice = await venue.alone("Alice");
  await alice.click("#open-people");
  await alice.click("#lock");
  await alice.until(() => !document.getElementById("room-locked").hasAttribute("hidden"));
  const bob = await venue.guest(alice.page.url(), { name: "Bob" });
  await bob.knock();
  await bob.isTold("The room is locked");
  // when
  await alice.click("#lock");
  await alice.until(() => document.getElementById("room-locked").hasAttribute("hidden"));
  await bob.click("#notice-actions button");
  await bob.enter();
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

test("whoever is removed is told so, and cannot come back by a click", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.click("#open-people");
  // when
  await remove(alice, "Remove");
  // then
  await bob.isTold("You were removed from the call");
  assert.deepEqual(await bob.page.$$("#notice-actions button"), []);
  await alice.sees(0);
  assert.equal((await alice.watched()).toasts.at(-1), "Bob was removed");
  // Who comes by the link again is in again.
  await bob.page.reload();
  await bob.enter();
  await alice.sees(1);
});

test("whoever is removed and kept out does not come back by the link either", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.click("#open-people");
  // when
  await remove(alice, "Remove and keep out");
  // then
  await bob.isTold("You were removed from the call");
  await bob.page.reload();
  await bob.knock();
  await bob.isTold("You were removed from the call");
  await alice.sees(0);
});

test("a tab that is duplicated asks, and takes the call and the host's role only if the user wants it", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const copy = await duplicate(alice);
  await copy.knock();
  await copy.until(() => document.querySelector(".ask h2")?.innerText === "You are in this call in another tab");
  assert.equal(await alice.page.$eval("#call", (it) => it.hidden), false);
  // when
  await copy.click(".ask button[value='']");
  // then
  await copy.page.waitForSelector("#enter:not(:disabled)");
  // when
  await copy.knock();
  await copy.click(".ask button[value=here]");
  // then
  await alice.isTold("The call continues elsewhere");
  await copy.until(() => !document.getElementById("host-tools").hidden);
  await bob.sees(1);
  await copy.close();
});

test("the host ends the call for everybody", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.click("#open-people");
  // when
  await alice.click("#end");
  await alice.click(".ask .danger");
  // then
  await Promise.all([alice, bob].map((it) => it.isTold("The call is over")));
  assert.deepEqual(await Promise.all([alice, bob].map((it) => it.text("#notice-text"))), ["You have ended it for everybody.", "The host has ended it for everybody."]);
});

test("the host who has reloaded the page is in the call again, and the host, with what was off still off", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  for (const key of ["m", "v"]) await alice.page.keyboard.press(key);
  await bob.looks("Alice", { muted: true, picture: false });
  // when
  await alice.page.reload();
  // then
  await alice.until(() => window.watched.connected.length === 1 && !document.getElementById("call").hidden);
  await bob.looks("Alice", { muted: true, picture: false });
  for (const key of ["m", "v"]) await alice.page.keyboard.press(key);
  await bob.looks("Alice", { muted: false, picture: true });
  await Promise.all([alice.sees(1), bob.sees(1)]);
  await bob.until(() => document.getElementById("host-tools").hidden);
  assert.equal(await alice.page.$eval("#host-tools", (tools) => tools.hidden), false);
});

test("whoever reloads after leaving is in the lobby, where what was off is still off", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  await alice.page.keyboard.press("v");
  await alice.click("#leave");
  await alice.isTold("You have left the call");
  // when
  await alice.page.reload();
  // then
  await alice.page.waitForSelector("#enter:not(:disabled)");
  await alice.until(() => document.getElementById("preview-mic").dataset.on === "true");
  assert.equal(await alice.page.$eval("#preview-cam", (button) => button.dataset.on), "false");
});

test("whoever has left can join again", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await bob.click("#leave");
  await bob.isTold("You have left the call");
  await alice.sees(0);
  // when
  await bob.click("#notice-actions .primary");
  await bob.enter();
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

test("sound that the browser holds back begins with a tap", async () => {
  const alice = await venue.alone("Alice");
  const bob = await venue.guest(alice.page.url(), { name: "Bob", prepare: refuseSound });
  await bob.enter();
  await bob.until(() => !document.getElementById("tap").hidden);
  await bob.sees(1);
  assert.deepEqual(await playing(bob), { muted: true, paused: false });
  // when
  await bob.click("#tap");
  // then
  await bob.until(() => document.getElementById("tap").hidden);
  assert.deepEqual(await playing(bob), { muted: false, paused: false });
});

test("whoever opens the link inside an app that has no camera is led to a browser, with the whole link", async () => {
  const carol = await venue.visitor({ prepare: () => Object.defineProperty(navigator, "mediaDevices", { value: undefined }) });
  await carol.page.setUserAgent(`${await venue.browser.userAgent()} Instagram 361.0.0.46.88 Android`);
  // when
  await carol.page.goto(`${venue.room()}#k=abc`);
  // then
  await carol.until(() => document.querySelector("#elsewhere input")?.value === location.href);
  assert.equal(await carol.text("#trouble-title"), "Open this page in Safari or Chrome");
  const out = await carol.page.$eval("#elsewhere a", (link) => link.getAttribute("href"));
  assert.match(out, /^intent:\/\/localhost:\d+\/r\/room%20\d+#k=abc#Intent;scheme=http;/);
});

test("whoever does not allow the camera is told how to, and can join without", async () => {
  const browser = await venue.launch(() => launchChromium({ devices: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"] }));
  await joinsWithout(browser, "Camera and microphone are blocked");
});

test("whoever has no camera can join without", async () => {
  const browser = await venue.launch(() => launchChromium({ devices: ["--use-fake-ui-for-media-stream"] }));
  await joinsWithout(browser, "No camera found");
});

/** Somebody without camera and microphone is told why, joins, and sees others who see only a name. */
async function joinsWithout(browser, title) {
  const alice = await venue.alone("Alice");
  const bob = await venue.guest(alice.page.url(), { name: "Bob", browser });
  await bob.until((title) => document.getElementById("trouble-title").innerText === title, title);
  assert.equal(await bob.text("#enter"), "Join without camera and microphone");
  // when
  await bob.enter();
  // then
  await bob.sees(1);
  await alice.looks("Bob", { muted: true, picture: false });
  await bob.say("I have no camera");
  await alice.hears("Bob", "I have no camera");
}

/** @param {import("./support/guest.js").Guest} guest */
function playing(guest) {
  return guest.page.evaluate(() => {
    const [{ muted, paused }] = window.watched.videos();
    return { muted, paused };
  });
}

/** The host removes the other one, in one of the ways that are offered. @param {Guest} host @param {string} way */
async function remove(host, way) {
  await host.click(".host-only button");
  await host.click(".menu button:last-child");
  await host.page.waitForSelector(".ask");
  await host.page.$$eval(".ask button", (all, way) => all.find((it) => it.innerText === way).click(), way);
}

/** The same tab once more, with all that it remembers. @param {Guest} guest */
async function duplicate(guest) {
  const [target] = await Promise.all([
    guest.page.browserContext().waitForTarget((it) => it.opener() === guest.page.target()),
    guest.page.evaluate(() => void window.open(location.href, "_blank", "popup")),
  ]);
  const page = await target.page();
  await page.waitForSelector("#enter:not(:disabled)");
  return new Guest(page, guest.context, false);
}

/* From here on, what runs inside the page before its first script. */

/** As in a network that lets nothing else out. */
function onlyTls() {
  const among = (configuration) => ({
    ...configuration,
    iceServers: configuration.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => url.startsWith("turns:")) }))
      .filter(({ urls }) => urls.length > 0),
  });
  const Watched = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Watched {
    constructor(configuration) {
      super(among(configuration));
    }
    setConfiguration(configuration) {
      super.setConfiguration(among(configuration));
    }
  };
}

/** As browsers do to a page that nobody has touched. */
function refuseSound() {
  const { play } = HTMLMediaElement.prototype;
  let isTouched = false;
  addEventListener("click", ({ target }) => (isTouched ||= target.closest("#tap") !== null), true);
  HTMLMediaElement.prototype.play = function () {
    if (isTouched || this.muted) return play.call(this);
    return Promise.reject(new DOMException("nobody has touched the page", "NotAllowedError"));
  };
}
