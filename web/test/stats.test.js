import assert from "node:assert/strict";
import { test } from "node:test";

import { quality } from "../js/wire/quality.js";
import { History, path } from "../js/wire/stats.js";

/** A report as browsers give it, of a second `at`, over a pair of these candidates. */
function report({ local, remote, at = 0, bytes = 0, packets = 0, lost = 0, firefox = false }) {
  const pair = { type: "candidate-pair", localCandidateId: "l", remoteCandidateId: "r", currentRoundTripTime: 0.042, timestamp: at, bytesSent: 2 * bytes, bytesReceived: bytes };
  return new Map([
    ["other", { type: "candidate-pair", state: "failed", localCandidateId: "x" }],
    ["p", firefox ? { ...pair, selected: true } : pair],
    ...(firefox ? [] : [["t", { type: "transport", selectedCandidatePairId: "p" }]]),
    ["l", { type: "local-candidate", protocol: "udp", address: "10.0.0.2", port: 5, ...local }],
    ["r", { type: "remote-candidate", protocol: "udp", address: "2001:db8::1", port: 6, ...remote }],
    ["a", { type: "inbound-rtp", kind: "audio", jitter: 0.005, packetsReceived: packets, packetsLost: lost }],
    ["v", { type: "inbound-rtp", kind: "video", framesPerSecond: 24, frameWidth: 640, frameHeight: 360, packetsReceived: 0, packetsLost: 0 }],
  ]);
}

test("the path names the types of both candidates, and the transport to the relay", () => {
  for (const [local, label] of [
    [{ candidateType: "host" }, "host"],
    [{ candidateType: "srflx" }, "srflx"],
    [{ candidateType: "prflx" }, "prflx"],
    [{ candidateType: "relay", relayProtocol: "udp" }, "relay/udp"],
    [{ candidateType: "relay", relayProtocol: "tcp" }, "relay/tcp"],
    [{ candidateType: "relay", relayProtocol: "tls" }, "relay/tls"],
    [{ candidateType: "relay" }, "relay"],
  ]) {
    const found = path(report({ local, remote: { candidateType: "srflx" } }));
    assert.deepEqual([found.local, found.remote], [label, "srflx"]);
  }
});

test("addresses are written so that the port can be told from an IPv6 address", () => {
  const { localAddress, remoteAddress } = path(report({ local: { candidateType: "host" }, remote: { candidateType: "host" } }));
  assert.deepEqual([localAddress, remoteAddress], ["10.0.0.2:5", "[2001:db8::1]:6"]);
});

test("Firefox marks the pair itself", () => {
  assert.equal(path(report({ local: { candidateType: "host" }, remote: { candidateType: "host" }, firefox: true })).local, "host");
});

test("without a pair there is no path", () => {
  assert.equal(path(new Map()), null);
  assert.equal(new History().add(new Map()).path, null);
});

test("of what is sent, the size, the codec and what limits it are told; what is not sent is not", () => {
  const sent = (more) => ({ type: "outbound-rtp", kind: "video", frameWidth: 640, frameHeight: 360, codecId: "c", qualityLimitationReason: "bandwidth", ...more });
  const look = (...streams) => new History().add(new Map([["c", { type: "codec", mimeType: "video/VP8" }], ...streams.map((it, i) => [`${i}`, it])])).out;
  const { resolution, codec, limit } = look(sent(), sent({ frameWidth: 1920, frameHeight: 1080, active: false }));
  assert.deepEqual([resolution, codec, limit], ["640×360", "VP8", "bandwidth"]);
  assert.equal(look(sent(), sent({ frameWidth: 1920, frameHeight: 1080 })).resolution, "1920×1080");
  assert.deepEqual([look().resolution, look().codec, look().limit], [null, null, "none"]);
});

test("what the other side loses of ours is judged by enough packets, once for each report", () => {
  const history = new History();
  const look = (at, sent, lost) => history.add(new Map([
    ["o", { type: "outbound-rtp", kind: "audio", packetsSent: sent }],
    ["r", { type: "remote-inbound-rtp", kind: "audio", packetsLost: lost, timestamp: at }],
  ])).out.loss;
  assert.equal(look(1, 100, 0), null);
  // A muted microphone: one of ten.
  assert.equal(look(2, 110, 1), null);
  assert.equal(look(3, 200, 10), 0.1);
  // No new report.
  assert.equal(look(3, 400, 10), null);
  assert.equal(look(4, 400, 10), 0);
  // A connection that is built anew.
  assert.equal(look(5, 60, 30), null);
  assert.equal(look(6, 160, 40), 0.1);
});

test("rates and losses are those between two looks", () => {
  const history = new History();
  const ends = { local: { candidateType: "host" }, remote: { candidateType: "host" } };
  const first = history.add(report({ ...ends, at: 1000, bytes: 5000, packets: 100, lost: 50 }));
  assert.deepEqual([first.down, first.up, first.loss], [0, 0, null]);
  const second = history.add(report({ ...ends, at: 3000, bytes: 255_000, packets: 190, lost: 60 }));
  assert.deepEqual([second.down, second.up, second.loss], [1_000_000, 2_000_000, 0.1]);
  assert.deepEqual([Math.round(second.rtt), second.jitter, second.fps, second.resolution], [42, 5, 24, "640×360"]);
});

test("counters that begin anew with a new connection are no negative rate", () => {
  const history = new History();
  const ends = { local: { candidateType: "host" }, remote: { candidateType: "host" } };
  history.add(report({ ...ends, at: 1000, bytes: 9_000_000, packets: 9000, lost: 9 }));
  const next = history.add(report({ ...ends, at: 2000, bytes: 10, packets: 1, lost: 0 }));
  assert.deepEqual([next.down, next.up, next.loss], [0, 0, null]);
});

test("a minute is kept", () => {
  const history = new History();
  for (let i = 0; i < 100; i += 1) history.add(new Map());
  assert.equal(history.readings.length, 60);
});

test("the quality follows what people notice", () => {
  const reading = (loss, rtt, jitter) => Array(5).fill({ loss, rtt, jitter });
  assert.equal(quality("connected", reading(0, 40, 5)), "good");
  assert.equal(quality("connected", reading(0.05, 40, 5)), "fair");
  assert.equal(quality("connected", reading(0, 400, 5)), "fair");
  assert.equal(quality("connected", reading(0.2, 40, 5)), "poor");
  assert.equal(quality("connected", reading(null, null, null)), "good");
  assert.equal(quality("connecting", []), "connecting");
  assert.equal(quality("disconnected", []), "lost");
});
