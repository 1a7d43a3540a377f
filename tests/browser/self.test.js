/** What somebody in a call is told about their own microphone, and how they switch it. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import en from "../../web/i18n/en.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("whoever speaks while muted is told, and unmutes by a click", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: hum }, "Bob");
  await alice.until(() => Number(document.getElementById("mic").style.getPropertyValue("--level")) > 0);
  await alice.page.keyboard.press("m");
  await bob.looks("Alice", { muted: true });
  // when
  await alice.until(() => window.watched.toasts.some((it) => it.startsWith("You are muted: nobody hears you.")));
  await alice.click(".toast button");
  // then
  await bob.looks("Alice", { muted: false });
  assert.equal(await alice.page.$(".toast button"), null);
});

test("muting is read aloud", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  for (const [key, said] of [["m", "Microphone off"], ["v", "Camera off"], ["m", "Microphone on"], ["v", "Camera on"]]) {
    await alice.page.keyboard.press(key);
    await alice.until((said) => document.getElementById("spoken").textContent === said, said);
  }
});

test("whoever is muted is heard while they hold the space bar, but not where it has another use", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const { keyboard } = alice.page;
  // What is not muted is not touched.
  await keyboard.press("Space");
  await keyboard.press("m");
  await bob.looks("Alice", { muted: true });
  // when
  await keyboard.down("Space");
  await bob.looks("Alice", { muted: false });
  await keyboard.down("Space");
  await keyboard.up("Space");
  // then
  await bob.looks("Alice", { muted: true });
  // when: on a button it is a press
  await alice.page.focus("#cam");
  await keyboard.press("Space");
  await bob.looks("Alice", { picture: false, muted: true });
});

test("single keys are listed, and can be switched off for good", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const { keyboard } = alice.page;
  await keyboard.type("?");
  await alice.page.waitForSelector("dialog.keys[open]");
  const keys = await alice.page.$$eval("dialog.keys dt", (all) => all.map((it) => it.textContent));
  for (const key of ["M", "V", "S", "C", "Space", "?"]) assert.ok(keys.includes(key), key);
  assert.equal(await alice.page.$eval("#mic", (it) => it.title), "Mute (M)");
  // when
  await alice.page.$eval("dialog.keys input", (box) => box.click());
  await keyboard.press("Escape");
  await alice.until(() => !document.querySelector("dialog.keys"));
  for (const key of ["m", "v", "c", "?"]) await keyboard.press(key);
  // then
  assert.deepEqual(await alice.page.$eval("#mic", (it) => [it.title, it.getAttribute("aria-keyshortcuts")]), ["Mute", null]);
  await alice.page.reload();
  await alice.until(() => !document.getElementById("call").hidden && document.getElementById("mic").dataset.on === "true");
  await keyboard.press("m");
  await alice.say("still there");
  await bob.hears("Alice", "still there");
  await bob.looks("Alice", { muted: false, picture: true });
});

test("with the switch for music, nothing is filtered out of what is sent, and nothing is negotiated", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const { negotiations } = await alice.watched();
  const filtered = (is) => alice.until((is) => {
    const sender = window.watched.connections[0].getSenders().find(({ track }) => track?.kind === "audio");
    const { echoCancellation, noiseSuppression, autoGainControl } = sender?.track.getSettings() ?? {};
    return [echoCancellation, noiseSuppression, autoGainControl].every((filter) => filter === is);
  }, is);
  await filtered(true);
  for (const is of [false, true]) {
    await alice.page.$eval("#call-devices .switch input", (box) => box.click());
    await filtered(is);
  }
  assert.equal((await alice.watched()).negotiations, negotiations);
  await bob.looks("Alice", { muted: false });
});

test("whoever tries the microphone before joining hears themselves, muted or not, and two notes of the speaker", async () => {
  const alice = await venue.guest(venue.room(), { name: "Alice" });
  await alice.isReady();
  await alice.click("#preview-mic");
  await alice.click("summary");
  const open = (await alice.page.$$("#lobby-devices > button")).at(-1);
  await open.click();
  const says = (key) => alice.until((said) => document.querySelector(".rehearsal p").textContent === said, en[key]);
  // when
  await alice.click(".rehearsal button");
  await says("rehearsal.recording");
  // then
  await says("rehearsal.playing");
  await says("rehearsal.done");
  await alice.click(".rehearsal button + button");
  await says("rehearsal.sounding");
  // What is tried ends with joining.
  await alice.enter();
  assert.equal(await alice.page.$eval("#mic", (it) => it.dataset.on), "false");
});

/** Runs in the page: somebody hums without end. */
function hum() {
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const getUserMedia = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wish) => {
    const stream = await getUserMedia(wish);
    if (!wish.audio) return stream;
    const context = new AudioContext();
    addEventListener("keydown", () => context.resume());
    context.resume();
    const out = context.createMediaStreamDestination();
    const voice = new OscillatorNode(context, { frequency: 200 });
    voice.connect(out);
    voice.start();
    return new MediaStream([...out.stream.getAudioTracks(), ...stream.getVideoTracks()]);
  };
}
