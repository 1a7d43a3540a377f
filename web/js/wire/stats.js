// @ts-check
/** Reads from `getStats` how a connection runs: over which path, how fast, and with what loss. */

/**
 * @typedef {object} Path
 * @property {string} local  the type of our candidate, with the transport to the relay if it is one: "relay/tcp"
 * @property {string} remote
 * @property {string} protocol  between the two candidates
 * @property {string} localAddress
 * @property {string} remoteAddress
 */

/**
 * Measurements over the last second or so. null: not known yet, or not available in this browser.
 * @typedef {object} Reading
 * @property {number} at  milliseconds
 * @property {Path | null} path
 * @property {number | null} rtt  milliseconds
 * @property {number} up  bit/s
 * @property {number} down  bit/s
 * @property {number | null} loss  of what the other side sent, 0 to 1
 * @property {number | null} jitter  milliseconds
 * @property {number | null} fps
 * @property {number} frames  of pictures that were decoded so far
 * @property {string | null} resolution
 * @property {Outgoing} out
 */

/**
 * What becomes of what we send: bit/s of pictures; the share that the other side lost, if it has reported since; whether the
 * processor is too slow for the pictures; the size of the camera's picture, its codec, and what keeps it from being better.
 * @typedef {object} Outgoing
 * @property {number} video
 * @property {number | null} loss
 * @property {boolean} isSlow
 * @property {string | null} resolution
 * @property {string | null} codec
 * @property {"none" | "bandwidth" | "cpu" | "other"} limit
 */

/** @typedef {{ at: number, sent: number, received: number, packets: number, lost: number, video: number, ours: { sent: number, lost: number, reported: number } }} Totals */
/** @typedef {Map<string, any>} Report */

/** Readings that are kept: a minute. */
const KEPT = 60;
/** Packets of ours by which a loss is judged. */
const ENOUGH = 50;

/** The last minute of one connection. */
export class History {
  /** @type {Reading[]} */
  readings = [];
  /** @type {Totals | null} */
  #before = null;
  /** When the loss of what we send was last known. @type {Totals | null} */
  #known = null;

  /** @param {Report} report @returns {Reading} */
  add(report) {
    const totals = total(report);
    const reading = read(report, totals, this.#before);
    reading.out.loss = this.#reported(totals);
    this.#before = totals;
    this.readings.push(reading);
    if (this.readings.length > KEPT) this.readings.shift();
    return reading;
  }

  get last() {
    return this.readings.at(-1) ?? null;
  }

  /** What the other side has lost of enough packets: of the few that a muted microphone sends, one says nothing. @param {Totals} now */
  #reported(now) {
    const before = this.#known;
    const sent = now.ours.sent - (before?.ours.sent ?? 0);
    // A connection that is built anew counts from the beginning.
    if (!before || sent < 0) this.#known = now;
    if (!before || sent < ENOUGH || now.ours.reported === before.ours.reported) return null;
    this.#known = now;
    return Math.min(1, Math.max(0, now.ours.lost - before.ours.lost) / sent);
  }
}

/**
 * @param {Report} report
 * @returns {Path | null}
 */
export function path(report) {
  const pair = selectedPair(report);
  const local = report.get(pair?.localCandidateId);
  const remote = report.get(pair?.remoteCandidateId);
  if (!local || !remote) return null;
  return {
    local: label(local),
    remote: remote.candidateType,
    protocol: local.protocol,
    localAddress: address(local),
    remoteAddress: address(remote),
  };
}

/** @param {Report} report @param {Totals} now @param {Totals | null} before @returns {Reading} */
function read(report, now, before) {
  const pair = selectedPair(report);
  const videos = [...report.values()].filter((it) => it.type === "inbound-rtp" && it.kind === "video");
  // Of camera and screen, the larger.
  const video = videos.reduce((large, it) => (!large || (it.frameHeight ?? 0) > (large.frameHeight ?? 0) ? it : large), undefined);
  const audio = find(report, (it) => it.type === "inbound-rtp" && it.kind === "audio");
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  const rate = (/** @type {"sent" | "received" | "video"} */ what) =>
    before && seconds > 0 ? (8 * Math.max(0, now[what] - before[what])) / seconds : 0;
  return {
    at: now.at,
    path: path(report),
    rtt: milliseconds(pair?.currentRoundTripTime),
    up: rate("sent"),
    down: rate("received"),
    loss: lossBetween(now, before),
    jitter: milliseconds(audio?.jitter ?? video?.jitter),
    fps: video?.framesPerSecond ?? null,
    frames: videos.reduce((sum, { framesDecoded = 0 }) => sum + framesDecoded, 0),
    resolution: sizeOf(video),
    out: { video: rate("video"), loss: null, isSlow: isSlow(report), ...sentPicture(report) },
  };
}

/** @param {Report} report */
function isSlow(report) {
  return find(report, (it) => it.type === "outbound-rtp" && it.qualityLimitationReason === "cpu") !== undefined;
}

/** The larger of camera and screen. @param {Report} report @returns {Pick<Outgoing, "resolution" | "codec" | "limit">} */
function sentPicture(report) {
  const sent = [...report.values()].filter((it) => it.type === "outbound-rtp" && it.kind === "video" && it.active !== false && it.frameWidth);
  const video = sent.reduce((large, it) => (!large || it.frameHeight > large.frameHeight ? it : large), undefined);
  const codec = report.get(video?.codecId)?.mimeType?.replace("video/", "") ?? null;
  return { resolution: sizeOf(video), codec, limit: video?.qualityLimitationReason ?? "none" };
}

/** @param {{ frameWidth?: number, frameHeight?: number } | undefined} video */
function sizeOf(video) {
  return video?.frameWidth ? `${video.frameWidth}×${video.frameHeight}` : null;
}

/** @param {Report} report @returns {Totals} */
function total(report) {
  const pair = selectedPair(report);
  /** @type {Totals} */
  const totals = { at: pair?.timestamp ?? 0, sent: pair?.bytesSent ?? 0, received: pair?.bytesReceived ?? 0, packets: 0, lost: 0, video: 0, ours: { sent: 0, lost: 0, reported: 0 } };
  for (const it of report.values()) {
    if (it.type === "remote-inbound-rtp") totals.ours.lost += it.packetsLost ?? 0;
    if (it.type === "remote-inbound-rtp") totals.ours.reported += it.timestamp ?? 0;
    if (it.type === "outbound-rtp") totals.ours.sent += it.packetsSent ?? 0;
    if (it.type === "outbound-rtp" && it.kind === "video") totals.video += it.bytesSent ?? 0;
    if (it.type !== "inbound-rtp") continue;
    totals.packets += it.packetsReceived ?? 0;
    totals.lost += it.packetsLost ?? 0;
  }
  return totals;
}

/** @param {Totals} now @param {Totals | null} before */
function lossBetween(now, before) {
  if (!before) return null;
  // Late packets are taken back from those that were lost.
  const lost = Math.max(0, now.lost - before.lost);
  const all = lost + Math.max(0, now.packets - before.packets);
  return all > 0 ? lost / all : null;
}

/** Firefox has no transport statistics, and marks the pair instead. @param {Report} report */
function selectedPair(report) {
  const transport = find(report, (it) => it.type === "transport" && it.selectedCandidatePairId);
  return (
    report.get(transport?.selectedCandidatePairId) ??
    find(report, (it) => it.type === "candidate-pair" && it.selected) ??
    find(report, (it) => it.type === "candidate-pair" && it.nominated && it.state === "succeeded")
  );
}

/**
 * The transport to the relay is right here, where `RTCIceCandidate.relayProtocol` is empty in some browsers.
 * @param {{ candidateType: string, relayProtocol?: string }} candidate
 */
function label({ candidateType, relayProtocol }) {
  return candidateType === "relay" && relayProtocol ? `relay/${relayProtocol}` : candidateType;
}

/** @param {{ address?: string, ip?: string, port?: number }} candidate  the address is hidden from some pages */
function address({ address, ip, port }) {
  const host = address ?? ip;
  if (!host) return "";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @param {Report} report @param {(it: any) => boolean} is */
function find(report, is) {
  for (const it of report.values()) if (is(it)) return it;
  return undefined;
}

/** @param {number | undefined} seconds */
function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}
