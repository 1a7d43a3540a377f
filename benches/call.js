/**
 * A call of several people on the call page in one Chromium, with small cameras and steady voices: what a member sends, what
 * the others see and hear of it, and what the browser costs.
 *
 *   node benches/call.js [people=4] [seconds=60] [bits=N] [member_bits=N] [camera=640x360x15] [relay] [warm=20]
 *   node benches/call.js first=6        instead: how long after "Join" the first picture is there, so many times
 *   node benches/call.js minutes=30     instead: a long call, with heap and processor of the first and the last minute
 *
 * `bits` is the daemon's limits.bits_per_second, of each allocation, and `member_bits` its bits_per_second_per_user; with
 * either, all of it goes through the relay. It needs target/release/hairpin, or another daemon in HAIRPIN.
 */

import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

import { launchChromium } from "../tests/browser/support/browser.js";
import { freePorts, onLoopback } from "../tests/browser/support/config.js";
import { Guest } from "../tests/browser/support/guest.js";
import { Hairpin } from "../tests/browser/support/hairpin.js";

const options = Object.fromEntries(process.argv.slice(2).map((word) => word.split("=")));
const people = Number(options.people ?? 4);
const seconds = Number(options.seconds ?? 60);
const warm = Number(options.warm ?? 20);
const [width, height, frameRate] = (options.camera ?? "640x360x15").split("x").map(Number);
const isRelayed = "relay" in options || "bits" in options || "member_bits" in options;
/** Of one processor's time: what /proc counts in. */
const TICKS = 100;

const round = (it) => Math.round(10 * it) / 10;
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const tally = (list) => list.reduce((counts, it) => ({ ...counts, [it]: (counts[it] ?? 0) + 1 }), {});

const [http, turn] = await freePorts(2);
const limits = [options.bits && `bits_per_second = ${options.bits}`, options.member_bits && `bits_per_second_per_user = ${options.member_bits}`];
const more = `[rooms]\ncapacity = 8\nsockets_per_ip = 100\njoins_per_minute = 1000\n[limits]\n${limits.filter(Boolean).join("\n")}`;
const hairpin = await Hairpin.start(onLoopback({ http, turn, more }));
// Without a touch a page may not sound, and so not speak here.
const browser = await launchChromium({ devices: ["--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream"] });
try {
  const measured = await ("first" in options ? firstPictures(Number(options.first)) : "minutes" in options ? long(Number(options.minutes)) : measure());
  console.log(JSON.stringify(measured, null, 2));
} finally {
  await browser.close();
  await hairpin.stop();
}

/** In a call of two, for whoever comes second. @param {number} times */
async function firstPictures(times) {
  const all = [];
  for (let i = 0; i < times; i += 1) {
    const [one, two] = await call(2, `first ${i}`);
    await Promise.all([one.sees(1), two.sees(1)]);
    const { clicked, pictured } = await two.watched();
    all.push(Math.round(pictured[0] - clicked.enter));
    for (const guest of [one, two]) await guest.close();
  }
  return { milliseconds: all, median: median(all) };
}

/** People in one room. @param {number} people @param {string} room */
async function call(people, room) {
  const guests = [];
  for (let i = 0; i < people; i += 1) {
    const guest = await Guest.at(browser, `http://localhost:${http}/r/${room}`, { name: `P${i + 1}`, viewport: { width: 960, height: 640 } });
    await guest.page.evaluateOnNewDocument(pretend, { width, height, frameRate, isRelayed });
    await guest.page.reload();
    guest.page.setDefaultTimeout(120_000);
    guests.push(guest);
  }
  for (const guest of guests) await guest.enter();
  for (const guest of guests) await guest.until((count) => window.watched.connections.filter((pc) => pc.connectionState === "connected").length >= count, people - 1);
  return guests;
}

/** A minute of a call: the processor, and what the first page keeps after a collection. @param {Guest} guest */
async function minute(guest) {
  const spent = processorTime();
  await setTimeout(60_000);
  const cost = processorTime() - spent;
  const devtools = await guest.page.createCDPSession();
  await devtools.send("HeapProfiler.collectGarbage");
  const { JSHeapUsedSize, Nodes, JSEventListeners } = await guest.page.metrics();
  await devtools.detach();
  return { browser_cpu_percent_of_one: Math.round((100 * cost) / TICKS / 60), heap_mb: Math.round(JSHeapUsedSize / 10_000) / 100, nodes: Nodes, listeners: JSEventListeners };
}

async function long(minutes) {
  const [guest] = await call(2, "long");
  await guest.click("#open-connection");
  const first = await minute(guest);
  await setTimeout(1000 * 60 * (minutes - 2));
  return { minutes, first, last: await minute(guest) };
}

async function measure() {
  const guests = await call(people, "measured");
  await setTimeout(1000 * warm);
  for (const guest of guests) await guest.page.evaluate(listen);
  const [before, spent] = [await all(guests, totals), processorTime()];
  await setTimeout(1000 * seconds);
  const [after, cost] = [await all(guests, totals), processorTime() - spent];
  const gaps = await all(guests, () => window.gaps);
  return {
    people, seconds, ...options,
    up_kbit: rates(before, after, ({ sent }) => sent).map((it) => Math.round((8 * it) / 1000)),
    video_kbit: median(rates(before, after, ({ video }) => video).map((it) => Math.round((8 * it) / 1000))),
    frames_per_second: rates(before, after, ({ frames }) => frames).map((it) => round(it / (people - 1))),
    received: tally(after.flatMap(({ sizes }) => sizes)),
    audio_concealed_ms_a_minute: rates(before, after, ({ concealed }) => concealed).map((it) => Math.round((60_000 * it) / 48_000)),
    audio_longest_gap_ms: Math.max(...gaps.map(({ longest }) => longest)),
    audio_gaps_over_200_ms: gaps.reduce((sum, { over }) => sum + over, 0),
    audio_lost_percent: round(100 * ratio(before, after)),
    freezes_s: round(rates(before, after, ({ frozen }) => frozen).reduce((a, b) => a + b, 0)),
    browser_cpu_percent_of_one: Math.round((100 * cost) / TICKS / seconds),
  };

  /** @param {any[]} before @param {any[]} after @param {(totals: any) => number} what */
  function rates(before, after, what) {
    return after.map((it, i) => (what(it) - what(before[i])) / ((it.at - before[i].at) / 1000));
  }

  function ratio(before, after) {
    const sum = (list, what) => list.reduce((all, it) => all + it[what], 0);
    const lost = sum(after, "lost") - sum(before, "lost");
    return lost / Math.max(1, lost + sum(after, "packets") - sum(before, "packets"));
  }
}

function all(guests, what) {
  return Promise.all(guests.map((guest) => guest.page.evaluate(what)));
}

/** Of Chromium with all its processes, in ticks. */
function processorTime() {
  const of = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
      of.set(Number(pid), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {} // It has just ended.
  }
  const root = browser.process().pid;
  const isBelow = (pid) => pid === root || (of.has(pid) && isBelow(of.get(pid).parent));
  return [...of].reduce((sum, [pid, { ticks }]) => sum + (isBelow(pid) ? ticks : 0), 0);
}

/* From here on, what runs inside the page. */

/** Before the page's first script: a small camera, and a voice that never pauses. */
function pretend({ width, height, frameRate, isRelayed }) {
  try {
    if (isRelayed) localStorage.setItem("relay-only", "yes");
  } catch {} // about:blank has no storage
  MediaDevices.prototype.getUserMedia = async ({ audio, video }) => new MediaStream([...(audio ? voice() : []), ...(video ? film() : [])]);
  /** Someone who moves, in the grain of a real camera: it takes as many bits as one gives it. */
  function film() {
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    const grain = Array.from({ length: 4 }, () => {
      const sheet = new OffscreenCanvas(width + 64, height + 64);
      const drawn = sheet.getContext("2d");
      const image = drawn.createImageData(sheet.width, sheet.height);
      for (let i = 0; i < image.data.length; i += 4) image.data.set([90, 100, 110, 255].map((it) => it + Math.random() * 28), i);
      drawn.putImageData(image, 0, 0);
      return sheet;
    });
    let frame = 0;
    setInterval(() => {
      frame += 1;
      context.drawImage(grain[frame % 4], -Math.random() * 64, -Math.random() * 64);
      context.fillStyle = `hsl(${frame % 360} 40% 60%)`;
      context.beginPath();
      context.ellipse(width * (0.5 + 0.2 * Math.sin(frame / 20)), height * 0.55, height * 0.25, height * 0.35, 0, 0, 7);
      context.fill();
    }, 1000 / frameRate);
    return context.canvas.captureStream(frameRate).getTracks();
  }
  function voice() {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const volume = new GainNode(context, { gain: 0.1 });
    volume.connect(out);
    // In syllables: Opus takes a steady tone for noise, and sends none of it.
    const syllables = new OscillatorNode(context, { frequency: 5 });
    syllables.connect(new GainNode(context, { gain: 0.08 })).connect(volume.gain);
    syllables.start();
    for (const frequency of [220, 330, 495]) {
      const tone = new OscillatorNode(context, { frequency });
      tone.connect(volume);
      tone.start();
    }
    return out.stream.getTracks();
  }
}

/** What was sent, seen and heard since the beginning. */
async function totals() {
  const sum = { at: performance.now(), sent: 0, video: 0, frames: 0, concealed: 0, lost: 0, packets: 0, frozen: 0, sizes: [] };
  for (const pc of window.watched.connections.filter(({ connectionState }) => connectionState === "connected")) {
    for (const it of (await pc.getStats()).values()) {
      if (it.type === "transport") sum.sent += it.bytesSent;
      if (it.type === "outbound-rtp" && it.kind === "video") sum.video += it.bytesSent;
      if (it.type === "inbound-rtp" && it.kind === "audio") {
        sum.concealed += it.concealedSamples - it.silentConcealedSamples;
        sum.lost += it.packetsLost;
        sum.packets += it.packetsReceived;
      }
      if (it.type !== "inbound-rtp" || it.kind !== "video" || !it.framesDecoded) continue;
      sum.frames += it.framesDecoded;
      sum.frozen += it.totalFreezesDuration ?? 0;
      sum.sizes.push(`${it.frameWidth}x${it.frameHeight}`);
    }
  }
  return sum;
}

/** Counts how long each voice is away: all that was played in a step is made up, in one step after the other. */
function listen() {
  const [STEP, LONG] = [40, 200];
  window.gaps = { longest: 0, over: 0 };
  const voices = window.watched.connections.flatMap((pc) => pc.getReceivers().filter(({ track }) => track.kind === "audio"));
  for (const voice of voices) {
    let [before, gap] = [null, 0];
    const step = async () => {
      const it = [...(await voice.getStats()).values()].find(({ type }) => type === "inbound-rtp");
      const played = it.totalSamplesReceived - (before?.totalSamplesReceived ?? 0);
      // Where nothing was sent because nobody spoke (DTX), silence is made up.
      const heard = ({ concealedSamples, silentConcealedSamples }) => concealedSamples - silentConcealedSamples;
      const madeUp = heard(it) - (before ? heard(before) : 0);
      if (before && played > 0) {
        const longer = madeUp > 0.9 * played ? gap + (1000 * madeUp) / 48_000 : 0;
        if (gap <= LONG && longer > LONG) window.gaps.over += 1;
        gap = longer;
        window.gaps.longest = Math.max(window.gaps.longest, Math.round(gap));
      }
      before = it;
      setTimeout(step, STEP);
    };
    step();
  }
}
