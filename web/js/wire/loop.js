// @ts-check
/** Sends to itself through the relay and back, and measures what the way is worth. */

import { sleep, within } from "./clock.js";

/**
 * @typedef {object} LoopResult
 * @property {number | null} rtt  milliseconds, the median
 * @property {number} loss  0 to 1
 * @property {number | null} throughput  bit/s, at least; null if it could not be measured
 */

const ECHOES = 20;
const ECHO_EVERY = 50;
const ECHO_WITHIN = 1_000;
const OPEN_WITHIN = 4_000;
/** The measurement ends at whichever comes first. */
export const BULK_BYTES = 5_000_000;
export const BULK_TIME = 3_000;
const CHUNK = 16 * 1024;
const BUFFERED = 512 * 1024;

/**
 * @param {object} parts
 * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
 * @param {RTCIceServer} parts.server
 * @param {import("./clock.js").Clock} parts.clock
 * @returns {Promise<LoopResult | null>} null if the two ends did not find each other
 */
export async function loop({ RTCPeerConnection, server, clock }) {
  /** @type {RTCConfiguration} */
  const configuration = { iceServers: [server], iceTransportPolicy: "relay" };
  const [near, far] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
  try {
    const echoes = channelPair(near, far, { id: 0, ordered: false, maxRetransmits: 0 });
    const bulk = channelPair(near, far, { id: 1 });
    await connect(near, far);
    const isOpen = Promise.all([echoes, bulk].flat().map(open)).then(() => true);
    if (!(await within(clock, OPEN_WITHIN, isOpen, false))) return null;
    return { ...(await measureEchoes(echoes, clock)), throughput: await measureBulk(bulk, clock) };
  } catch {
    return null;
  } finally {
    near.close();
    far.close();
  }
}

/** @param {[RTCDataChannel, RTCDataChannel]} channels @param {import("./clock.js").Clock} clock */
async function measureEchoes([near, far], clock) {
  far.onmessage = ({ data }) => far.send(data);
  /** @type {number[]} */
  const sent = [];
  /** @type {number[]} */
  const times = [];
  near.onmessage = ({ data }) => times.push(clock.now() - sent[Number(data)]);
  for (let i = 0; i < ECHOES; i += 1) {
    sent.push(clock.now());
    near.send(String(i));
    await sleep(clock, ECHO_EVERY);
  }
  for (let waited = 0; times.length < ECHOES && waited < ECHO_WITHIN; waited += ECHO_EVERY) {
    await sleep(clock, ECHO_EVERY);
  }
  return { rtt: median(times), loss: 1 - times.length / ECHOES };
}

/** @param {[RTCDataChannel, RTCDataChannel]} channels @param {import("./clock.js").Clock} clock */
async function measureBulk([near, far], clock) {
  const chunk = new Uint8Array(CHUNK);
  let [received, last] = [0, 0];
  far.binaryType = "arraybuffer";
  far.onmessage = ({ data }) => {
    received += data.byteLength;
    last = clock.now();
  };
  const begun = clock.now();
  let sent = 0;
  while (received < BULK_BYTES && clock.now() - begun < BULK_TIME) {
    while (sent < BULK_BYTES && near.bufferedAmount < BUFFERED) {
      near.send(chunk);
      sent += CHUNK;
    }
    await sleep(clock, 10);
  }
  return last > begun ? (8000 * received) / (last - begun) : null;
}

/** @param {RTCPeerConnection} near @param {RTCPeerConnection} far @param {RTCDataChannelInit} options @returns {[RTCDataChannel, RTCDataChannel]} */
function channelPair(near, far, options) {
  const all = { ...options, negotiated: true };
  const label = options.ordered === false ? "echo" : "bulk";
  return [near.createDataChannel(label, all), far.createDataChannel(label, all)];
}

/**
 * Both ends are in this page, so their candidates are simply handed over; a browser adds them after the description that
 * it was given first.
 * @param {RTCPeerConnection} near
 * @param {RTCPeerConnection} far
 */
async function connect(near, far) {
  await near.setLocalDescription();
  await describe(near, far);
  await far.setLocalDescription();
  await describe(far, near);
}

/** @param {RTCPeerConnection} from @param {RTCPeerConnection} to */
function describe(from, to) {
  const described = to.setRemoteDescription(/** @type {RTCSessionDescription} */ (from.localDescription));
  from.onicecandidate = ({ candidate }) => {
    if (candidate) to.addIceCandidate(candidate).catch(() => {});
  };
  return described;
}

/** @param {RTCDataChannel} channel @returns {Promise<void>} */
function open(channel) {
  return new Promise((resolve) => {
    if (channel.readyState === "open") resolve();
    else channel.onopen = () => resolve();
  });
}

/** @param {number[]} numbers */
function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? null;
}
