import assert from "node:assert/strict";
import { test } from "node:test";

import { Peer } from "../js/wire/peer.js";
import { FakeClock, FakePeerConnection, settled } from "./fakes.js";

function peer({ polite = false, tracks = { audio: "a", video: "v", screen: null } } = {}) {
  FakePeerConnection.all = [];
  const clock = new FakeClock();
  const sent = [];
  let credentials = 0;
  const it = new Peer({
    RTCPeerConnection: FakePeerConnection,
    polite,
    send: (e, content) => sent.push({ e, ...content }),
    configuration: () => ({ iceServers: [{ urls: `turn:${credentials}` }] }),
    refresh: async () => void (credentials += 1),
    tracks,
    clock,
  });
  const struggles = [];
  it.on("struggling", () => struggles.push(clock.now()));
  return { it, clock, sent, struggles };
}

const offer = { d: { type: "offer", sdp: "theirs" } };
const senders = (pc) => pc.transceivers.filter(({ mid }) => mid).map(({ sender }) => sender.track);

test("whoever comes later starts, and offers a sound, a camera and a screen in the first epoch", async () => {
  const { it, clock, sent } = peer({ polite: true });
  it.start();
  await clock.advance(0);
  await settled();
  assert.deepEqual(sent.map(({ e, d }) => [e, d.type]), [[1, "offer"]]);
  assert.deepEqual(it.pc.transceivers.map(({ receiver, sender }) => [receiver.track.kind, sender.track]), [["audio", "a"], ["video", "v"], ["video", null]]);
});

test("whoever is offered sends on what the offer brought, and adds nothing", async () => {
  const { it, sent } = peer();
  await it.hear(1, offer);
  await settled();
  assert.deepEqual(sent.map(({ e, d }) => [e, d.type]), [[1, "answer"]]);
  assert.deepEqual(senders(it.pc), ["a", "v", null]);
  assert.equal(it.pc.transceivers.length, 3);
});

test("when both start at once, the higher epoch is that of both", async () => {
  const [polite, impolite] = [peer({ polite: true }), peer()];
  for (const { it } of [polite, impolite]) await it.hear(1, offer);
  for (const { it, sent } of [polite, impolite]) {
    sent.length = 0;
    it.start();
    await settled();
  }
  assert.deepEqual([polite.sent[0].e, impolite.sent[0].e], [3, 2]);
  await polite.it.hear(2, offer);
  await impolite.it.hear(3, offer);
  assert.deepEqual([polite, impolite].map(({ sent }) => sent.map(({ e, d }) => [e, d.type])), [[[3, "offer"]], [[2, "offer"], [3, "answer"]]]);
});

test("whoever is to begin anew, and hears that the other has, does not begin once more", async () => {
  const { it, sent } = peer();
  await it.hear(1, offer);
  sent.length = 0;
  const rebuilt = it.rebuild();
  await it.hear(3, offer);
  await rebuilt;
  await settled();
  assert.deepEqual(sent.map(({ e, d }) => [e, d.type]), [[3, "answer"]]);
});

test("another track is sent without a word to the other side", async () => {
  const { it, clock, sent } = peer();
  await it.hear(1, offer);
  sent.length = 0;
  await it.replaceTrack("video", "other camera");
  await it.replaceTrack("audio", null);
  await clock.advance(1000);
  assert.deepEqual(senders(it.pc), [null, "other camera", null]);
  assert.deepEqual(sent, []);
});

test("a screen is sent beside the camera", async () => {
  const { it, clock, sent } = peer();
  await it.hear(1, offer);
  sent.length = 0;
  await it.replaceTrack("screen", "s");
  await clock.advance(1000);
  assert.deepEqual([senders(it.pc), sent], [["a", "v", "s"], []]);
});

test("a client that takes one picture gets the screen in place of the camera, and the camera again after it", async (t) => {
  FakePeerConnection.offers = ["audio", "video"];
  t.after(() => (FakePeerConnection.offers = ["audio", "video", "video"]));
  const { it } = peer();
  await it.hear(1, offer);
  await it.replaceTrack("screen", "s");
  assert.deepEqual(senders(it.pc), ["a", "s"]);
  await it.replaceTrack("video", "other camera");
  assert.deepEqual(senders(it.pc), ["a", "s"]);
  await it.replaceTrack("screen", null);
  assert.deepEqual(senders(it.pc), ["a", "other camera"]);
});

test("a client that refuses the second picture gets the screen in place of the camera, from the answer on", async () => {
  const { it } = peer({ polite: true, tracks: { audio: "a", video: "v", screen: "s" } });
  it.start();
  await settled();
  await it.hear(1, { d: { type: "answer", sdp: "theirs" } });
  it.pc.transceivers[2].currentDirection = "inactive";
  it.pc.becomes("connected");
  assert.deepEqual(senders(it.pc).slice(0, 2), ["a", "s"]);
});

test("whatever arrives is told by its kind: microphone, camera or screen", async () => {
  const { it } = peer();
  const came = [];
  it.on("track", (kind, track) => came.push([kind, track]));
  await it.hear(1, offer);
  for (const transceiver of it.pc.transceivers) it.pc.ontrack({ transceiver, track: transceiver.receiver.track });
  assert.deepEqual(came.map(([kind, track]) => [kind, track.kind]), [["audio", "audio"], ["video", "video"], ["screen", "video"]]);
});

test("a newer epoch is a new connection, and what belongs to an older one is dropped", async () => {
  const { it } = peer();
  await it.hear(1, offer);
  await it.hear(3, offer);
  assert.equal(FakePeerConnection.all.length, 2);
  assert.equal(FakePeerConnection.all[0].signalingState, "closed");
  const { pc } = it;
  await it.hear(2, { d: { type: "offer", sdp: "late" } });
  await it.hear(1, { c: [{ candidate: "late" }] });
  assert.equal(it.pc, pc);
  assert.deepEqual([pc.remoteDescription.sdp, pc.candidates], ["theirs", []]);
});

/** A member who says so many things in five seconds, each of another epoch. */
async function flood(it, clock, signal) {
  for (let i = 0; i < 300; i += 1) {
    it.hear(...signal(i));
    await clock.advance(5_000 / 300);
  }
}

test("a member cannot have a connection built for each of its signals", async () => {
  for (const signal of [(i) => [i + 1, offer], (i) => [2 * i + 1, offer], (i) => [i + 1, { c: [{ candidate: "x" }] }]]) {
    const { it, clock } = peer();
    await flood(it, clock, signal);
    assert.ok(FakePeerConnection.all.length <= 7, `${FakePeerConnection.all.length}`);
    assert.equal(FakePeerConnection.all.filter(({ signalingState }) => signalingState !== "closed").length, 1);
  }
});

test("an epoch that is far ahead is nobody's next one, and ends no connection that works", async () => {
  const { it, clock, sent } = peer();
  await it.hear(1, offer);
  const { pc } = it;
  pc.becomes("connected");
  await it.hear(4, offer);
  await it.hear(2 ** 32 - 1, offer);
  await clock.advance(5_000);
  assert.equal(it.pc, pc);
  sent.length = 0;
  it.start();
  await settled();
  assert.deepEqual(sent.map(({ e }) => e), [2]);
});

test("where nothing works any more, the other side is met however far ahead it is", async () => {
  const { it, sent } = peer();
  await it.hear(1, offer);
  it.pc.becomes("failed");
  sent.length = 0;
  await it.hear(9, offer);
  assert.deepEqual(sent.map(({ e, d }) => [e, d.type]), [[9, "answer"]]);
});

test("of several new epochs at once, as after an absence, the last one is built, with all that belongs to it", async () => {
  // given
  const { it, clock, sent } = peer();
  for (const e of [1, 3, 5, 7, 9]) {
    it.hear(e, { d: { type: "offer", sdp: `of ${e}` } });
    it.hear(e, { c: [{ candidate: `of ${e}` }] });
  }
  it.hear(7, { c: [{ candidate: "late" }] });
  // when
  await clock.advance(3_000);
  // then
  assert.deepEqual([it.pc.remoteDescription.sdp, it.pc.candidates], ["of 9", [{ candidate: "of 9" }]]);
  assert.deepEqual(sent.filter(({ d }) => d?.type === "answer").at(-1).e, 9);
  assert.ok(FakePeerConnection.all.length <= 3);
});

test("two who keep building anew, as fast as they may, come together when they stop", async () => {
  // given
  FakePeerConnection.all = [];
  const clock = new FakeClock();
  const sides = [true, false].map((polite) => ({ polite, inbox: [] }));
  for (const [i, side] of sides.entries()) {
    side.it = new Peer({
      RTCPeerConnection: FakePeerConnection,
      polite: side.polite,
      send: (e, content) => sides[1 - i].inbox.push([e, content]),
      configuration: () => ({}),
      refresh: async () => {},
      tracks: {},
      clock,
    });
  }
  const deliver = async (ms) => {
    for (let passed = 0; passed < ms; passed += 20) {
      await clock.advance(20);
      for (const { it, inbox } of sides) for (const [e, content] of inbox.splice(0)) it.hear(e, content);
    }
  };
  sides[0].it.start();
  // when
  for (let round = 0; round < 20; round += 1) {
    for (const { it } of sides) it.rebuild();
    await deliver(round % 2 ? 20 : 60);
  }
  await deliver(20_000);
  // then
  const [one, two] = sides.map(({ it }) => it.pc);
  assert.deepEqual([one.signalingState, two.signalingState], ["stable", "stable"]);
  const offerer = one.localDescription.type === "offer" ? one : two;
  const answerer = offerer === one ? two : one;
  assert.equal(answerer.remoteDescription.sdp, offerer.localDescription.sdp);
});

test("while a newer epoch of the other side waits, this side begins none of its own", async () => {
  const { it, clock, sent } = peer();
  for (const e of [1, 3, 5]) it.hear(e, offer);
  await settled();
  sent.length = 0;
  await it.rebuild();
  await clock.advance(2_000);
  assert.deepEqual(sent.filter(({ d }) => d).map(({ e, d }) => [e, d.type]), [[5, "answer"]]);
});

test("what is closed builds nothing that was still to be built", async () => {
  const { it, clock } = peer();
  for (const e of [1, 3, 5]) it.hear(e, offer);
  it.close();
  await clock.advance(5_000);
  assert.equal(it.pc, null);
});

test("a connection that fails is restarted at once, with fresh credentials", async () => {
  const { it } = peer();
  await it.hear(1, offer);
  it.pc.becomes("connected");
  it.pc.becomes("failed");
  await settled();
  assert.equal(it.pc.restarts, 1);
  assert.deepEqual(it.pc.configuration.iceServers, [{ urls: "turn:1" }]);
});

test("one that is disconnected has three seconds to come back by itself", async () => {
  const { it, clock } = peer();
  await it.hear(1, offer);
  it.pc.becomes("disconnected");
  await clock.advance(2_999);
  assert.equal(it.pc.restarts, 0);
  it.pc.becomes("connected");
  await clock.advance(60_000);
  assert.equal(it.pc.restarts, 0);
  it.pc.becomes("disconnected");
  await clock.advance(3_000);
  assert.equal(it.pc.restarts, 1);
});

test("after two failures the relay is offered, and after three everything is built anew", async () => {
  const { it, clock, struggles } = peer();
  await it.hear(1, offer);
  it.pc.becomes("failed");
  await clock.advance(8_000);
  assert.deepEqual(struggles, []);
  await clock.advance(8_000);
  assert.equal(struggles.length, 1);
  assert.equal(FakePeerConnection.all.length, 1);
  await clock.advance(8_000);
  assert.equal(FakePeerConnection.all.length, 2);
});

test("a change of the network restarts what is connected, once", async () => {
  const { it, clock } = peer();
  await it.hear(1, offer);
  it.pc.becomes("connected");
  it.networkChanged();
  await clock.advance(60_000);
  assert.equal(it.pc.restarts, 1);
});

test("changes of the network that did no harm are not counted as failures", async () => {
  const { it, clock, struggles } = peer();
  await it.hear(1, offer);
  it.pc.becomes("connected");
  for (let change = 0; change < 6; change += 1) {
    it.networkChanged();
    await clock.advance(60_000);
  }
  assert.deepEqual([it.pc.restarts, FakePeerConnection.all.length, struggles], [6, 1, []]);
});

test("a first connection that gets nowhere, and does not even fail, is tried again", async () => {
  const { it, clock, struggles } = peer();
  await it.hear(1, offer);
  await clock.advance(14_999);
  assert.equal(it.pc.restarts, 0);
  await clock.advance(1);
  assert.equal(it.pc.restarts, 1);
  await clock.advance(16_000);
  assert.equal(struggles.length, 1);
});

test("credentials that do not come are not waited for longer than two seconds", async () => {
  FakePeerConnection.all = [];
  const clock = new FakeClock();
  const never = () => new Promise(() => {});
  const it = new Peer({ RTCPeerConnection: FakePeerConnection, polite: true, send() {}, configuration: () => ({}), refresh: never, tracks: {}, clock });
  await it.hear(1, offer);
  it.pc.becomes("failed");
  await clock.advance(1_999);
  assert.equal(it.pc.restarts, 0);
  await clock.advance(1);
  assert.equal(it.pc.restarts, 1);
});

test("once closed, it hears and does nothing any more", async () => {
  const { it, clock } = peer();
  await it.hear(1, offer);
  it.close();
  await it.hear(2, offer);
  await clock.advance(60_000);
  assert.deepEqual([FakePeerConnection.all.length, it.pc], [1, null]);
});
