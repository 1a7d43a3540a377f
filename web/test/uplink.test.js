import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Uplink } from "../js/wire/uplink.js";
import { FakeClock, settled } from "./fakes.js";

const track = (width, height) => ({ getSettings: () => ({ width, height }) });

/** A sender that keeps what it was told last, and counts how often it was told and asked. */
function sender() {
  const codecs = [{ mimeType: "audio/red" }, { mimeType: "audio/opus" }];
  return {
    encoding: {},
    told: 0,
    asked: 0,
    getParameters() {
      this.asked += 1;
      return { encodings: [{ ...this.encoding }], codecs };
    },
    async setParameters({ encodings, degradationPreference }) {
      this.told += 1;
      this.encoding = encodings[0];
      this.preference = degradationPreference;
    },
  };
}

/** A room with so many others, all connected for a while, as the uplink sees it. */
async function call(others, { tracks = { audio: track(), video: track(1280, 720), screen: null } } = {}) {
  const clock = new FakeClock();
  const room = Object.assign(new Emitter(), { members: new Map() });
  const conversation = Object.assign(new Emitter(), { told: [], tell: (note, to) => conversation.told.push([to, note]) });
  const media = Object.assign(new Emitter(), { tracks });
  const uplink = new Uplink({ room, media, conversation, clock });
  const members = Array.from({ length: others }, (_, i) => {
    const senders = { audio: sender(), video: sender(), screen: sender() };
    const peer = Object.assign(new Emitter(), { state: "connected", sender: (kind) => senders[kind] });
    const member = { id: `m${i}`, peer, senders };
    room.members.set(member.id, member);
    room.emit("came", member);
    peer.emit("state", "connected");
    return member;
  });
  await clock.advance(2_000);
  const reading = (out) => ({ rtt: 40, out: { video: 500_000, loss: 0, isSlow: false, ...out } });
  /** So many seconds in which every connection reports this. */
  const pass = async (seconds, out = {}) => {
    for (let i = 0; i < seconds; i += 1) {
      await clock.advance(1_000);
      for (const { id } of members) uplink.saw(id, reading(out));
      uplink.tick();
    }
    await settled();
  };
  const shows = (i, camera, screen = 0) => conversation.emit("note", members[i], { t: "shows", camera, screen });
  return { uplink, room, clock, members, media, conversation, pass, shows };
}

const heights = ({ senders }) => Math.round(720 / senders.video.encoding.scaleResolutionDownBy);
const bits = ({ senders }) => senders.video.encoding.maxBitrate;

test("sound comes first, and a camera keeps moving rather than sharp", async () => {
  const { members: [{ senders }], pass } = await call(1);
  await pass(1);
  const { audio, video } = senders;
  assert.deepEqual([audio.encoding.priority, audio.encoding.networkPriority, video.encoding.priority], ["high", "high", "low"]);
  assert.equal(video.preference, "maintain-framerate");
});

test("all pictures together stay below what one line carries, however many members there are", async () => {
  for (const others of [1, 2, 3, 5, 7]) {
    const { members, pass } = await call(others);
    await pass(1);
    assert.ok(members.reduce((sum, member) => sum + bits(member), 0) <= 2_500_000);
  }
});

test("a member gets a picture as large as it is shown there, and none if it is not seen", async () => {
  const { members, shows, pass } = await call(3);
  shows(0, 720);
  shows(1, 180);
  shows(2, 0);
  await pass(1);
  assert.deepEqual(members.map(({ senders }) => senders.video.encoding.active), [true, true, false]);
  assert.ok(heights(members[0]) > heights(members[1]));
});

test("a small camera's picture takes no more bits for being shown large", async () => {
  const { members, shows, pass } = await call(1, { tracks: { audio: null, video: track(320, 180), screen: null } });
  shows(0, 720);
  await pass(1);
  assert.equal(bits(members[0]), 180_000);
});

test("a picture that is seen again is sent at once", async () => {
  const { members: [{ senders }], shows, pass } = await call(1);
  shows(0, 0);
  await pass(1);
  shows(0, 360);
  await settled();
  assert.equal(senders.video.encoding.active, true);
});

test("nonsense about sizes changes nothing", async () => {
  const { members: [{ senders }], conversation, members, pass } = await call(1);
  await pass(1);
  for (const note of [{ t: "shows" }, { t: "shows", camera: -1, screen: 0 }, { t: "shows", camera: "large", screen: null }, { t: "sends", camera: 0 }]) conversation.emit("note", members[0], note);
  await settled();
  assert.equal(senders.video.encoding.active, true);
});

test("a shared screen keeps its pixels, and gets more than the camera", async () => {
  const { members: [{ senders }], pass } = await call(1, { tracks: { audio: null, video: track(1280, 720), screen: track(1920, 1080) } });
  await pass(1);
  const { video, screen } = senders;
  assert.deepEqual([screen.encoding.scaleResolutionDownBy, screen.preference], [1, "maintain-resolution"]);
  assert.ok(screen.encoding.active && screen.encoding.maxBitrate > 1_000_000 && video.encoding.active);
});

test("after a loss the member it concerns gets less, and the others do not", async () => {
  const { uplink, members, pass } = await call(2);
  await pass(5);
  const before = bits(members[1]);
  uplink.saw("m0", { rtt: 40, out: { video: 1_000_000, loss: 0.2, isSlow: false } });
  uplink.adjust();
  await settled();
  assert.ok(bits(members[0]) <= 600_000);
  assert.ok(bits(members[1]) >= before);
});

test("if the loss stays, the camera is paused, the member is told, and it is sent again later", async () => {
  const { uplink, members: [{ senders }], conversation, pass } = await call(1);
  const said = [];
  uplink.on("paused", (isPaused) => said.push(isPaused));
  await pass(25, { loss: 0.2 });
  assert.deepEqual([senders.video.encoding.active, senders.audio.encoding.active, said], [false, true, [true]]);
  assert.deepEqual(conversation.told.at(-1), ["m0", { t: "sends", camera: false }]);
  await pass(30);
  assert.deepEqual([senders.video.encoding.active, said], [true, [true, false]]);
  assert.deepEqual(conversation.told.at(-1), ["m0", { t: "sends", camera: true }]);
});

test("the page hears that a member's camera is paused", async () => {
  const { uplink, members, conversation } = await call(1);
  const changed = [];
  uplink.on("changed", ({ id }) => changed.push([id, uplink.isPausedBy(id)]));
  for (const camera of [false, true]) conversation.emit("note", members[0], { t: "sends", camera });
  assert.deepEqual(changed, [["m0", true], ["m0", false]]);
});

test("where the processor is too slow, all pictures become smaller until it keeps up", async () => {
  const { members, pass } = await call(3);
  await pass(2);
  const before = bits(members[0]);
  await pass(20, { isSlow: true });
  const slow = bits(members[0]);
  await pass(120);
  assert.ok(slow < before / 2 && bits(members[0]) > slow, `${before} ${slow} ${bits(members[0])}`);
});

test("whoever saves data sends little, and shows the others small", async () => {
  const { uplink, members, conversation, pass } = await call(2);
  uplink.save(true);
  uplink.show("m0", { camera: 700, screen: 700 });
  await pass(1);
  assert.ok(members.reduce((sum, member) => sum + bits(member), 0) <= 500_000);
  assert.deepEqual(conversation.told.at(-1), ["m0", { t: "shows", camera: 180, screen: 720 }]);
});

test("how large a picture is shown is told when a channel opens, and again only if it makes a difference", async () => {
  const { uplink, members, conversation } = await call(1);
  uplink.show("m0", { camera: 400, screen: 0 });
  conversation.told.length = 0;
  uplink.show("m0", { camera: 420, screen: 0 });
  assert.deepEqual(conversation.told, []);
  conversation.emit("open", members[0]);
  assert.deepEqual(conversation.told.map(([, note]) => note), [{ t: "shows", camera: 540, screen: 0 }, { t: "sends", camera: true }]);
});

test("music and shared films get more bits than voices, and who saves data sends fewer", async () => {
  const { uplink, media, members: [{ senders }], pass } = await call(1);
  const rates = [];
  for (const change of [() => {}, () => (media.isMusic = true), () => Object.assign(media, { isMusic: false, screenHasSound: true }), () => uplink.save(true)]) {
    change();
    await pass(1);
    rates.push(senders.audio.encoding.maxBitrate);
  }
  assert.deepEqual(rates, [32_000, 96_000, 96_000, 20_000]);
});

test("what has not changed is not set again, and not asked for", async () => {
  const { members: [{ senders }], pass } = await call(1);
  await pass(10);
  assert.deepEqual([senders.audio.told, senders.video.told], [1, 1]);
  const asked = () => Object.values(senders).map(({ asked }) => asked);
  const before = asked();
  await pass(10);
  assert.deepEqual(asked(), before);
});

test("what is sent is decided before the first picture is encoded, and left alone until it is there", async () => {
  const { room, clock, conversation } = await call(0);
  const senders = { audio: sender(), video: sender(), screen: sender() };
  const peer = Object.assign(new Emitter(), { state: "new", sender: (kind) => senders[kind] });
  room.members.set("new", { id: "new", peer });
  room.emit("came", { id: "new", peer });
  peer.emit("senders");
  await settled();
  const before = { ...senders.video.encoding };
  assert.equal(before.active, true);
  // when: the other side has a small tile
  peer.emit("state", "connected");
  conversation.emit("note", { id: "new" }, { t: "shows", camera: 180, screen: 0 });
  await settled();
  assert.deepEqual(senders.video.encoding, before);
  // then
  await clock.advance(2_000);
  conversation.emit("note", { id: "new" }, { t: "shows", camera: 180, screen: 0 });
  await settled();
  assert.equal(senders.video.encoding.maxBitrate, 180_000);
});

test("each packet of sound is sent twice in a small call, and once in a large one or where it is tight", async () => {
  const codec = ({ senders }) => senders.audio.encoding.codec.mimeType;
  const [few, many, saving] = [await call(4), await call(5), await call(1)];
  saving.uplink.save(true);
  for (const { pass } of [few, many, saving]) await pass(1);
  assert.deepEqual([few, many, saving].map(({ members }) => codec(members[0])), ["audio/red", "audio/opus", "audio/opus"]);
});
