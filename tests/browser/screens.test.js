/** A shared screen arrives beside the camera and with its sound, between Chromium and Firefox, and nothing is negotiated for it. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium, launchFirefox } from "./support/browser.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
let chromium;
let firefox;
before(async () => {
  await venue.open({ launch: launchFirefox });
  firefox = venue.browser;
  chromium = await venue.launch(launchChromium);
});
afterEach(() => venue.clear());
after(() => venue.close());

test("Firefox sees Chromium's camera and screen, and hears the shared tab although the microphone is muted", async () => {
  const { alice, bob } = await call({ from: chromium, to: firefox });
  const negotiated = await negotiations(alice, bob);
  await alice.page.keyboard.press("m");
  await bob.until(hears, false);
  // when
  await alice.page.keyboard.press("s");
  // then
  await bob.sees(2);
  await bob.until(hears, true);
  // when
  await alice.page.keyboard.press("s");
  // then
  await bob.sees(1);
  await bob.until(hears, false);
  await alice.page.keyboard.press("m");
  await bob.until(hears, true);
  assert.equal(await negotiations(alice, bob), negotiated);
  assert.deepEqual(await silences(alice), []);
});

test("Chromium sees Firefox's camera and screen, and still hears the microphone", async () => {
  const { alice, bob } = await call({ from: firefox, to: chromium });
  const negotiated = await negotiations(alice, bob);
  // when
  await alice.page.keyboard.press("s");
  // then
  await bob.sees(2);
  await bob.until(hears, true);
  // when
  await alice.page.keyboard.press("s");
  // then
  await bob.sees(1);
  assert.equal(await negotiations(alice, bob), negotiated);
  // when
  await alice.page.keyboard.press("s");
  await bob.sees(2);
  // then
  assert.deepEqual(await silences(alice), ["Your screen is shared without sound: this browser cannot share sound."], "it is said once");
});

/** What the person was told about the sound of the screen. @param {import("./support/guest.js").Guest} guest */
async function silences(guest) {
  return (await guest.watched()).toasts.filter((it) => it.includes("without sound"));
}

/** @param {{ from: import("./support/venue.js").Browser, to: import("./support/venue.js").Browser }} browsers */
async function call({ from, to }) {
  const room = venue.room();
  const alice = await venue.guest(room, { name: "Alice", browser: from, prepare: shareTab });
  const bob = await venue.guest(room, { name: "Bob", browser: to });
  for (const guest of [alice, bob]) await (await guest.isReady()).enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
  return { alice, bob };
}

/** @param {...import("./support/guest.js").Guest} guests */
async function negotiations(...guests) {
  const counts = await Promise.all(guests.map(async (guest) => (await guest.watched()).negotiations));
  return counts.reduce((sum, count) => sum + count);
}

/* From here on, what runs inside the page. */

/** Before the page's first script: what is shared is a tab with a film, and with its sound where browsers share that. */
function shareTab() {
  const devices = navigator.mediaDevices;
  if (!devices) return; // about:blank
  const hasSound = !navigator.userAgent.includes("Firefox");
  devices.getDisplayMedia = async ({ audio }) => new MediaStream([...film(), ...(audio && hasSound ? tone() : [])]);

  function tone() {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const source = new OscillatorNode(context, { frequency: 1000 });
    source.connect(new GainNode(context, { gain: 0.2 })).connect(out);
    source.start();
    return out.stream.getTracks();
  }

  function film() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 400 });
    const context = canvas.getContext("2d");
    setInterval(() => {
      context.fillStyle = `hsl(${performance.now() / 20} 60% 60%)`;
      context.fillRect(0, 0, 640, 400);
    }, 100);
    return canvas.captureStream(10).getTracks();
  }
}

/** Whether anything has been heard of the other since this was last asked, as the browser reports. @param {boolean} something */
async function hears(something) {
  const it = [...(await window.watched.connections.at(-1).getStats()).values()].find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
  const energy = it.totalAudioEnergy - (window.energy ?? 0);
  const time = it.totalSamplesDuration - (window.heard ?? 0);
  if (time < 0.5) return false;
  [window.energy, window.heard] = [it.totalAudioEnergy, it.totalSamplesDuration];
  return energy / time > 1e-5 === something;
}
