/** What somebody in a call is told about their own microphone, and how they switch it. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

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
