/** A recording of the call: that everybody sees it run, and that the file has pictures and everybody's sound. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("everybody sees that a recording runs, also whoever comes later, and the file has the picture and the other's sound", async (t) => {
  const [alice, bob] = await venue.call({ name: "Alice", prepare: pickFile }, "Bob");
  await alice.click("#mic");
  await bob.looks("Alice", { muted: true });
  // when
  await begin(alice);
  // then
  await alice.until(() => document.getElementById("recording").innerText.startsWith("You are recording"));
  await bob.until(() => document.getElementById("recording").innerText === "Recording: Alice");
  assert.ok((await bob.watched()).toasts.includes("Alice is recording this call"));
  const carol = await venue.guest(alice.page.url(), { name: "Carol" });
  await carol.enter();
  await carol.until(() => document.getElementById("recording").innerText === "Recording: Alice");
  // when
  await recorded(alice, 4);
  await alice.click("#recording button");
  // then
  await alice.until(() => window.picked?.isClosed);
  await bob.until(() => document.getElementById("recording").hidden);
  const seen = await alice.page.evaluate(play, null);
  t.diagnostic(`${await alice.page.evaluate(() => window.picked.suggestedName)}: ${JSON.stringify(seen)}`);
  assert.ok(seen.width === 1280 && seen.height === 720 && seen.seconds >= 3, JSON.stringify(seen));
  assert.ok(seen.colours > 50 && seen.loudest > 0.01, JSON.stringify(seen));
});

test("where files cannot be written, a recording is saved when its owner leaves, with their own sound", async () => {
  const downloads = mkdtempSync(join(tmpdir(), "hairpin-recording-"));
  try {
    const [alice, bob] = await venue.call({ name: "Alice", downloads, prepare: pickNothing }, "Bob");
    await bob.click("#mic");
    await alice.looks("Bob", { muted: true });
    await begin(alice);
    await recorded(alice, 4);
    // when
    await alice.click("#leave");
    // then
    await alice.until(() => window.watched.toasts.includes("The recording is saved"));
    const bytes = await saved(downloads);
    const seen = await alice.page.evaluate(play, bytes.toString("base64"));
    assert.ok(seen.seconds >= 3 && seen.colours > 50 && seen.loudest > 0.01, JSON.stringify(seen));
  } finally {
    rmSync(downloads, { recursive: true });
  }
});

/** @param {import("./support/guest.js").Guest} guest */
async function begin(guest) {
  await guest.click("#more");
  await guest.page.waitForSelector(".menu button");
  await guest.page.$$eval(".menu button", (all) => all.find((it) => it.innerText === "Record this call").click());
  await guest.until(() => !document.getElementById("recording").hidden);
}

/** So many seconds go by, as the others' pictures count them. @param {import("./support/guest.js").Guest} guest @param {number} seconds */
function recorded(guest, seconds) {
  return guest.until((seconds) => {
    const [video] = window.watched.videos();
    window.from ??= video.currentTime;
    return video.currentTime - window.from > seconds;
  }, seconds);
}

/** The file that was saved. @param {string} directory */
async function saved(directory) {
  for (let i = 0; i < 200; i += 1) {
    const [name] = readdirSync(directory).filter((it) => /\.(mp4|webm)$/.test(it));
    if (name) return readFileSync(join(directory, name));
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error(`nothing was saved: ${readdirSync(directory)}`);
}

/* From here on, what runs inside the page. */

/** The file that the user chooses is kept for the test. */
function pickFile() {
  window.showSaveFilePicker = async ({ suggestedName }) => {
    const parts = [];
    window.picked = { suggestedName, parts };
    return { createWritable: async () => ({ write: async (data) => void parts.push(data), close: async () => void (window.picked.isClosed = true) }) };
  };
}

function pickNothing() {
  delete window.showSaveFilePicker;
}

/** Plays the recording, and says what is seen and heard. @param {string | null} base64 */
async function play(base64) {
  const blob = base64 ? bytesOf(base64) : new Blob(window.picked.parts);
  const video = document.createElement("video");
  video.src = URL.createObjectURL(blob);
  await new Promise((loaded, failed) => Object.assign(video, { onloadeddata: loaded, onerror: () => failed(new Error(video.error.message)) }));
  if (!Number.isFinite(video.duration)) {
    video.currentTime = 1e9;
    await new Promise((known) => (video.ondurationchange = known));
  }
  const seconds = video.duration;
  video.currentTime = seconds / 2;
  await new Promise((seeked) => (video.onseeked = seeked));
  const canvas = new OffscreenCanvas(64, 36);
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 64, 36);
  const { data } = pen.getImageData(0, 0, 64, 36);
  const colours = new Set(new Uint32Array(data.buffer)).size;
  const sound = await new AudioContext().decodeAudioData(await blob.arrayBuffer());
  const loudest = sound.getChannelData(0).reduce((most, it) => Math.max(most, Math.abs(it)), 0);
  return { width: video.videoWidth, height: video.videoHeight, seconds, colours, loudest, bytes: blob.size };

  function bytesOf(text) {
    return new Blob([Uint8Array.from(atob(text), (it) => it.charCodeAt(0))]);
  }
}
