/** What people do in a call: see each other, switch cameras, share a screen, write, send a file, and all of it at once. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { CAMERAS } from "./support/browser.js";
import { Venue } from "./support/venue.js";

/** Twelve pictures are encoded when four people meet, and one machine does it all. */
const SMALL = { viewport: { width: 800, height: 500 }, prepare: useSmallPictures };

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("two people in one room see each other", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  assert.deepEqual(await Promise.all([alice, bob].map((it) => it.text("#count"))), ["2", "2"]);
  const [tie] = await bob.connections();
  assert.match(tie.pair, /^(host|prflx) ↔ (host|prflx) \(udp\)$/);
});

test("four people see each other, and three remain when one leaves", async () => {
  const people = await venue.call(...["Alice", "Bob", "Carol", "Dan"].map((name) => ({ name, ...SMALL })));
  for (const guest of people) assert.equal(await tilesOf(guest), 4);
  // when
  const dan = people.pop();
  await dan.click("#leave");
  // then
  await dan.isTold("You have left the call");
  for (const guest of people) {
    await guest.sees(2);
    assert.equal(await tilesOf(guest), 3);
    assert.ok((await guest.watched()).toasts.includes("Dan has left"));
  }
});

test("a camera is switched for another with nothing negotiated, and the picture goes on", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const negotiated = await negotiations(alice, bob);
  await alice.click("#open-settings");
  for (const camera of [...CAMERAS.slice(1), CAMERAS[0]]) {
    // when
    const deviceId = await alice.page.$$eval("#call-devices option", (all, camera) => all.find(({ text }) => text === camera).value, camera);
    await alice.page.select("#call-devices select", deviceId);
    // then
    await alice.until(isSending, { deviceId });
    await bob.sees(1);
  }
  assert.deepEqual(await negotiations(alice, bob), negotiated);
});

test("a screen is shared beside the camera, with nothing negotiated", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const negotiated = await negotiations(alice, bob);
  // when
  await alice.click("#share");
  // then
  await bob.looks("Alice", { screen: true });
  await bob.until(receives, ["camera", "screenshare"]);
  // when
  await alice.click("#share");
  // then
  await bob.looks("Alice", { screen: false });
  await bob.until(receives, ["camera"]);
  await bob.sees(1);
  assert.deepEqual(await negotiations(alice, bob), negotiated);
});

test("M mutes, V switches the camera, S shares the screen and C opens the chat, and the others see it", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await bob.looks("Alice", { muted: false, picture: true, screen: false });
  for (const [key, look] of [["m", { muted: true }], ["v", { picture: false }], ["s", { screen: true, picture: false }]]) {
    await alice.page.keyboard.press(key);
    await bob.looks("Alice", look);
  }
  for (const [key, look] of [["s", { screen: false, picture: false }], ["v", { picture: true }], ["m", { muted: false }]]) {
    await alice.page.keyboard.press(key);
    await bob.looks("Alice", look);
  }
  await bob.sees(1);
  // when: in the chat, letters are letters
  await alice.page.keyboard.press("c");
  await alice.page.keyboard.type("mvsc");
  await alice.page.keyboard.press("Enter");
  // then
  await bob.hears("Alice", "mvsc");
  await bob.looks("Alice", { muted: false, picture: true, screen: false });
});

test("what one writes the other reads, and is told of it while the chat is closed", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.say("Hello, <b>Bob</b>");
  await bob.hears("Alice", "Hello, <b>Bob</b>");
  assert.equal(await bob.text("#unread"), "1");
  await bob.say("안녕하세요");
  await alice.hears("Bob", "안녕하세요");
  assert.equal(await bob.page.$eval("#unread", (badge) => badge.hidden), true);
});

test("a link in the chat leads where it says, and unread lines are counted in the title", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.say("See https://example.org/a?b. And https://bank.example@evil.example/");
  await bob.until(() => document.title.startsWith("(1) "));
  // when
  await bob.click("#open-chat");
  // then
  await bob.until(() => !document.title.startsWith("("));
  const links = await bob.page.$$eval("#log .text a", (all) => all.map(({ text, href, target, rel }) => ({ text, href, target, rel })));
  const address = "https://example.org/a?b";
  assert.deepEqual(links, [{ text: address, href: address, target: "_blank", rel: "noopener noreferrer" }]);
  assert.match(await bob.text("#log time"), /^\d{1,2}:\d\d/);
});

test("a name that is written from right to left moves nothing that stands beside it", async () => {
  const [alice, bob] = await venue.call("Alice", "אבא 7");
  // when
  await bob.say("12 apples");
  // then: without isolation the digits would be read as part of the name, on its other side
  await alice.until(() => document.querySelector(".toast")?.textContent.includes("12 apples"));
  const order = await alice.page.evaluate(() => {
    const place = (word) => {
      const text = [...document.querySelectorAll(".toast span")].at(-1).firstChild;
      const range = document.createRange();
      range.setStart(text, text.data.indexOf(word));
      range.setEnd(text, text.data.indexOf(word) + word.length);
      return range.getBoundingClientRect().left;
    };
    return [place("אבא") < place("12"), place("12") < place("apples")];
  });
  assert.deepEqual(order, [true, true]);
  await alice.hears("אבא 7", "12 apples");
  const directions = await alice.page.$$eval(".tile:not(.self) .who, #log .by, #log .text", (all) => all.map((it) => getComputedStyle(it).direction));
  assert.deepEqual(directions, ["rtl", "rtl", "ltr"]);
});

test("a file of 20 MB is saved as it was sent", async (t) => {
  const downloads = mkdtempSync(join(tmpdir(), "hairpin-downloads-"));
  t.after(() => rmSync(downloads, { recursive: true }));
  const [alice, bob] = await venue.call("Alice", { name: "Bob", downloads });
  const digest = await alice.page.evaluate(offerFile, "holiday.bin", 20_000_000);
  // when
  await bob.click("#open-chat");
  const begun = Date.now();
  await bob.click(".parcel .primary");
  await bob.page.waitForSelector(".parcel a[download]");
  t.diagnostic(`received in ${Date.now() - begun} ms`);
  // then
  const saved = await savedFile(downloads, "holiday.bin");
  assert.equal(saved.length, 20_000_000);
  assert.equal(createHash("sha256").update(saved).digest("hex"), digest);
  await alice.until(() => document.querySelector(".parcel .small").innerText.endsWith("received by Bob"));
});

test("whoever drags a file over the call sees where it may be dropped, until it is dropped or gone", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const drag = (type) => alice.page.evaluate((type) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["plan"], "plan.txt"));
    document.getElementById("call").dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    return document.querySelector(".drop")?.innerText ?? "";
  }, type);
  const seen = [];
  for (const type of ["dragover", "dragleave", "dragover", "drop"]) seen.push(await drag(type));
  assert.deepEqual(seen, ["Drop here to send to everybody", "", "Drop here to send to everybody", ""]);
  await bob.until(() => document.querySelector(".parcel .title")?.innerText === "plan.txt");
});

test("a picture that is pasted is one card with the progress of each, and is seen by who has received it", async () => {
  const [alice, bob, carol] = await venue.call("Alice", "Bob", "Carol");
  await alice.click("#open-chat");
  // when
  await alice.page.evaluate(pastePicture);
  // then
  const lines = () => alice.page.$$eval(".parcel li", (all) => all.map((it) => it.innerText.replace(/\s+/g, " ")));
  assert.deepEqual(await lines(), ["Bob waiting", "Carol waiting"]);
  assert.match(await alice.text(".parcel .title"), /^picture-\d{14}\.png$/);
  for (const guest of [bob, carol]) await guest.click("#open-chat");
  assert.equal(await bob.page.$(".parcel img"), null);
  await bob.click(".parcel .primary");
  await bob.until(() => document.querySelector(".parcel img")?.naturalWidth === 40);
  await carol.click(".parcel .choices button:last-child");
  await alice.until(() => document.querySelector(".parcel li:last-child").innerText.includes("Declined"));
  assert.deepEqual(await lines(), ["Bob received", "Carol Declined by Carol"]);
  assert.equal(await alice.page.$eval(".parcel img", (it) => it.naturalWidth), 40);
});

test("whoever reads the last line of the chat also sees the picture that appears below it, and the line when the window gets lower", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.click("#open-chat");
  for (let line = 0; line < 30; line += 1) await bob.say(`Line ${line}`);
  await alice.hears("Bob", "Line 29");
  const below = () => alice.page.$eval("#log", (log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight));
  assert.equal(await below(), 0);
  // when
  await alice.page.evaluate(pastePicture, 20);
  await bob.click(".parcel .primary");
  await alice.until(() => document.querySelector(".parcel img")?.naturalHeight === 600);
  // then
  await alice.until(() => document.querySelector(".parcel img").getBoundingClientRect().bottom < document.getElementById("composer").getBoundingClientRect().top);
  assert.equal(await below(), 0);
  // when
  await alice.page.setViewport({ width: 1280, height: 500 });
  // then
  await alice.until(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.getElementById("log");
    return clientHeight < 400 && scrollHeight - scrollTop - clientHeight < 1;
  });
});

test("fifty times both add a track at once, and agree each time", { timeout: 150_000 }, async (t) => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  let clashes = 0;
  for (let round = 0; round < 50; round += 1) {
    const at = Date.now() + 20;
    const [atAlice, atBob] = await Promise.all([alice, bob].map((it) => it.page.evaluate(addTrackAt, at)));
    if (atAlice || atBob) clashes += 1;
  }
  t.diagnostic(`${clashes} of 50 times both had offered`);
  assert.ok(clashes > 0);
  await Promise.all([alice, bob].map((it) => it.until(() => window.watched.connections.at(-1).signalingState === "stable")));
  const sections = await Promise.all([alice, bob].map((it) => it.page.evaluate(mediaSections)));
  assert.deepEqual(sections[0], sections[1]);
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

test("ten times both switch the relay on or off at once, and are connected again each time", async (t) => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const begun = Date.now();
  for (let round = 1; round <= 10; round += 1) {
    const only = round % 2 === 1;
    // when
    await Promise.all([alice.onlyRelay(only), bob.onlyRelay(only)]);
    // then
    await Promise.all([alice.sees(1), bob.sees(1)]);
  }
  t.diagnostic(`in ${Date.now() - begun} ms`);
});

/** @param {import("./support/guest.js").Guest} guest */
function tilesOf(guest) {
  return guest.page.$$eval("#stage .tile", ({ length }) => length);
}

/** @param {...import("./support/guest.js").Guest} guests */
function negotiations(...guests) {
  return Promise.all(guests.map(async (guest) => (await guest.watched()).negotiations));
}

/** A file once it is whole: until then it has another name. @param {string} directory @param {string} name */
async function savedFile(directory, name) {
  const giveUp = Date.now() + 10_000;
  while (!readdirSync(directory).includes(name)) {
    assert.ok(Date.now() < giveUp, `there is only ${readdirSync(directory)}`);
    await setTimeout(50);
  }
  return readFileSync(join(directory, name));
}

/* From here on, what runs inside the page. */

/** Before the page's first script. */
function useSmallPictures() {
  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = function ({ video, ...rest }) {
    return getUserMedia.call(this, { ...rest, ...(video && { video: { ...video, width: 320, height: 180 } }) });
  };
}

/** The picture that is sent is of this kind, and frames of it have been sent. */
async function isSending(settings) {
  const pc = window.watched.connections[0];
  const { track } = pc.getSenders().find(({ track }) => track?.kind === "video") ?? {};
  if (!track || Object.entries(settings).some(([name, is]) => track.getSettings()[name] !== is)) return false;
  const source = [...(await pc.getStats()).values()].find((it) => it.type === "media-source" && it.kind === "video");
  return source?.trackIdentifier === track.id && source.frames > 0;
}

/** Whether these pictures arrive and no others, as the browser says: a camera, a screen. */
async function receives(contents) {
  const pictures = [...(await window.watched.connections[0].getStats()).values()].filter((it) => it.type === "inbound-rtp" && it.kind === "video");
  const arriving = pictures.filter(({ ssrc, framesDecoded = 0 }) => framesDecoded > (window.decoded?.get(ssrc) ?? 0));
  window.decoded = new Map(pictures.map(({ ssrc, framesDecoded = 0 }) => [ssrc, framesDecoded]));
  return JSON.stringify(arriving.map(({ contentType = "camera" }) => contentType).sort()) === JSON.stringify(contents);
}

/** Chooses a file of random bytes, and says what is in it. */
async function offerFile(name, size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)));
  const chosen = new DataTransfer();
  chosen.items.add(new File([bytes], name));
  const input = document.getElementById("file");
  input.files = chosen.files;
  input.dispatchEvent(new Event("change"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Pastes a picture of 40 by 30 points into the message. */
async function pastePicture(scale = 1) {
  const canvas = new OffscreenCanvas(40 * scale, 30 * scale);
  canvas.getContext("2d").fillRect(0, 0, 20 * scale, 30 * scale);
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([await canvas.convertToBlob()], "image.png", { type: "image/png" }));
  document.getElementById("message").dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}

/**
 * Adds a track, and takes the one of last time away. Once it is sent, says whether the other side's offer came in between.
 * Descriptions are kept short: so many of them in so few seconds are more than the server takes otherwise.
 */
async function addTrackAt(time) {
  const pc = window.watched.connections.at(-1);
  const { track } = pc.getSenders().find(({ track }) => track?.kind === "audio");
  window.extra?.stop();
  await new Promise((resolve) => setTimeout(resolve, time - Date.now()));
  const states = [];
  const extra = pc.addTransceiver(track.clone());
  for (const transceiver of pc.getTransceivers()) {
    const { codecs } = RTCRtpReceiver.getCapabilities(transceiver.receiver.track.kind);
    if (transceiver.direction !== "stopped") transceiver.setCodecPreferences(codecs.slice(0, 1));
  }
  await new Promise((resolve) => {
    pc.onsignalingstatechange = () => {
      states.push(pc.signalingState);
      if (pc.signalingState === "stable" && extra.currentDirection?.startsWith("send")) resolve();
    };
  });
  window.extra = extra;
  return states[0] !== "have-local-offer" || states[1] !== "stable" || states.length > 2;
}

function mediaSections() {
  const pc = window.watched.connections.at(-1);
  return [pc.signalingState, pc.localDescription.sdp.match(/^m=/gm).length];
}
