/** What a phone, a plug or another program takes away in a call: who is told, and what comes back by itself. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("a microphone that a phone call takes is reported to its owner and to the others, and a fresh one is sent afterwards", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: holdDevices }, "Bob");
  const sent = await alice.page.evaluate(sentAudio);
  // when
  await alice.page.evaluate(() => window.held.takes("audio"));
  // then
  await alice.until(() => document.getElementById("taken").innerText.includes("Your microphone was taken away"));
  await bob.looks("Alice", { muted: true, picture: true });
  // when
  await alice.page.evaluate(() => window.held.gives("audio"));
  // then
  await alice.until((before) => !document.getElementById("taken").innerText && window.watched.toasts.includes("Your microphone is back") && window.held.last("audio").id !== before, sent);
  await bob.looks("Alice", { muted: false });
  await alice.until(() => window.watched.connections[0].getSenders().some(({ track }) => track === window.held.last("audio")));
});

test("a phone call that takes both is reported once, and both are back after it", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: holdDevices }, "Bob");
  const said = () => alice.page.$$eval(".taken:not([hidden]) p", (all) => all.map((it) => it.textContent));
  // when
  await alice.page.evaluate(() => ["audio", "video"].forEach(window.held.takes));
  await alice.until(() => document.querySelectorAll(".taken").length === 2);
  assert.deepEqual(await said(), ["Camera and microphone were taken away by a call, another app or the browser. Nobody sees or hears you."]);
  await bob.looks("Alice", { muted: true, picture: false });
  await alice.page.evaluate(() => window.held.gives("video"));
  await alice.until(() => document.querySelectorAll(".taken").length === 1);
  assert.deepEqual(await said(), ["Your microphone was taken away by a call, another app or the browser. Nobody hears you."]);
  await alice.page.evaluate(() => window.held.gives("audio"));
  // then
  await alice.until(() => !document.getElementById("taken").innerText);
  await bob.looks("Alice", { muted: false, picture: true });
});

test("a camera that is pulled out is reported, and is on again when it is plugged in", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: holdDevices }, "Bob");
  // when
  await alice.page.evaluate(() => window.held.unplugs("video"));
  // then
  await alice.until(() => document.getElementById("taken").innerText.includes("Your camera is gone"));
  await bob.looks("Alice", { picture: false });
  // when
  await alice.page.evaluate(() => window.held.plugs("video"));
  // then
  await alice.until(() => window.watched.toasts.includes("Your camera is back"));
  await bob.looks("Alice", { picture: true });
  await bob.sees(1);
});

test("whoever does without what was taken is left in peace", async () => {
  const [alice] = await venue.call({ name: "Alice", prepare: holdDevices }, "Bob");
  await alice.page.evaluate(() => window.held.unplugs("video"));
  await alice.page.locator("#taken button:last-child").click();
  await alice.until(() => !document.getElementById("taken").innerText);
  // when
  await alice.page.evaluate(() => window.held.plugs("video"));
  // then
  assert.equal(await alice.page.$eval("#cam", (button) => button.dataset.on), "false");
});

test("a speaker that is pulled out is replaced by the default one, and used again when it is back", async () => {
  const [alice] = await venue.call({ name: "Alice", prepare: holdDevices }, "Bob");
  await alice.click("#open-settings");
  const [speaker, name] = await alice.page.$$eval("#call-devices select:last-of-type option", (all) => {
    const last = all.filter(({ value }) => value !== "default").at(-1);
    return [last.value, last.text];
  });
  const plays = (sink) => alice.until((sink) => window.watched.videos()[0].sinkId === sink, sink);
  await alice.page.evaluate((speaker) => {
    const select = [...document.querySelectorAll("#call-devices select")].at(-1);
    select.value = speaker;
    select.dispatchEvent(new Event("change"));
  }, speaker);
  await plays(speaker);
  // when
  await alice.page.evaluate((speaker) => window.held.lacks(speaker), speaker);
  await plays("");
  await alice.page.evaluate(() => window.held.lacks(""));
  // then
  await plays(speaker);
  const said = (await alice.watched()).toasts.filter((it) => it.startsWith("Your speaker is now"));
  assert.deepEqual(said, ["Your speaker is now: Default", `Your speaker is now: ${name}`]);
});

test("whoever blocks the camera in the browser's own menu is told so, and has it on again when they allow it", async () => {
  // Its permission is asked for, and not pretended.
  const browser = await venue.launch(() => launchChromium({ devices: ["--use-fake-device-for-media-stream=fps=10"] }));
  const [bob, alice] = [await venue.guest(venue.room(), { name: "Bob" }), await venue.visitor({}, browser)];
  const session = await alice.page.createCDPSession();
  const { id } = alice.page.browserContext();
  const allow = (name, setting) => session.send("Browser.setPermission", { permission: { name }, setting, origin: venue.origin, browserContextId: id });
  for (const name of ["camera", "microphone"]) await allow(name, "granted");
  await alice.page.goto(bob.page.url());
  await alice.until(() => document.getElementById("preview-video").videoWidth > 0);
  await bob.enter();
  await alice.page.$eval("#enter", (button) => button.click());
  await bob.looks("Guest", { picture: true });
  // when
  await allow("camera", "denied");
  await alice.until(() => document.getElementById("taken").innerText.includes("Your camera is blocked now."));
  await bob.looks("Guest", { picture: false, muted: false });
  await allow("camera", "granted");
  // then
  await alice.until(() => !document.getElementById("taken").innerText);
  await bob.looks("Guest", { picture: true, muted: false });
});

/** @returns {string} */
function sentAudio() {
  return window.watched.connections[0].getSenders().find(({ track }) => track?.kind === "audio").track.id;
}

/** Runs in the page: takes devices away as a system does. */
function holdDevices() {
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const tracks = [];
  const missing = new Set();
  const getUserMedia = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wish) => {
    if ([...missing].some((kind) => wish[kind])) throw new DOMException("as pretended", "NotFoundError");
    const stream = await getUserMedia(wish);
    tracks.push(...stream.getTracks());
    return stream;
  };
  const last = (kind) => tracks.findLast((track) => track.kind === kind);
  const set = (kind, muted) => {
    const track = last(kind);
    Object.defineProperty(track, "muted", { value: muted, configurable: true });
    track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  };
  let lacking = "";
  const enumerateDevices = devices.enumerateDevices.bind(devices);
  devices.enumerateDevices = async () => (await enumerateDevices()).filter(({ deviceId }) => deviceId !== lacking || !lacking);
  window.held = {
    lacks(device) {
      lacking = device;
      devices.dispatchEvent(new Event("devicechange"));
    },
    last,
    takes: (kind) => set(kind, true),
    gives: (kind) => set(kind, false),
    unplugs(kind) {
      missing.add(kind);
      last(kind).dispatchEvent(new Event("ended"));
    },
    plugs(kind) {
      missing.delete(kind);
      devices.dispatchEvent(new Event("devicechange"));
    },
  };
}
