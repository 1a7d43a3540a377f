import assert from "node:assert/strict";
import { test } from "node:test";

import { Media } from "../js/wire/media.js";
import { devices, FakeClock, fail, settled } from "./fakes.js";

const nothing = { camera: "", microphone: "" };

/** A user in a call, whose devices answer as `answer` says at the time. */
async function inCall({ choice = nothing, isSeen } = {}) {
  const phone = { answer: () => undefined };
  const fake = devices((wish) => phone.answer(wish));
  const clock = new FakeClock();
  const media = new Media(fake, choice, undefined, { clock, isSeen });
  const sent = [];
  const replaced = [];
  media.on("track", (kind, track) => sent.push([kind, track]));
  media.on("replaced", (kind, label) => replaced.push([kind, label]));
  await media.open();
  return { phone, fake, clock, media, sent, replaced };
}

const kept = { audio: null, video: null };

test("a phone call takes the microphone, the page says so, and afterwards a fresh capture is sent", async () => {
  const { media, sent } = await inCall();
  const { audio } = media.tracks;
  // when
  audio.mutes();
  assert.deepEqual([media.taken, media.microphoneIsOn, media.cameraIsOn], [{ audio: "muted", video: null }, false, true]);
  audio.unmutes();
  assert.equal(audio.readyState, "ended");
  await settled();
  // then: what iOS gives back may be dead
  assert.notEqual(media.tracks.audio, audio);
  assert.deepEqual([media.taken, media.microphoneIsOn, sent.at(-1)], [kept, true, ["audio", media.tracks.audio]]);
});

test("a call that is declined in the background is followed by a fresh capture on return, and not before", async () => {
  let isSeen = false;
  const { media, fake } = await inCall({ isSeen: () => isSeen });
  const { audio, video } = media.tracks;
  const asked = fake.asked.length;
  // when
  for (const track of [audio, video]) track.mutes();
  for (const track of [audio, video]) track.unmutes();
  await settled();
  // then
  assert.deepEqual([fake.asked.length, media.taken, media.tracks.audio], [asked, kept, audio]);
  isSeen = true;
  await media.revive();
  assert.ok(media.tracks.audio !== audio && media.tracks.video !== video);
  assert.deepEqual([media.microphoneIsOn, media.cameraIsOn], [true, true]);
});

test("a microphone that comes back muted is asked for again at the next return", async () => {
  const { media, phone, fake } = await inCall();
  media.tracks.audio.mutes();
  phone.answer = () => setImmediate(() => fake.given.at(-1).mutes());
  await media.revive();
  await settled();
  assert.equal(media.taken.audio, "muted");
  // when
  phone.answer = () => undefined;
  await media.revive();
  // then
  assert.deepEqual([media.taken, media.microphoneIsOn], [kept, true]);
});

test("a fresh capture that is muted as well is let go of, and the device asked for once more", async () => {
  const { media, phone, fake } = await inCall();
  const { audio } = media.tracks;
  audio.mutes();
  const asked = fake.asked.length;
  phone.answer = () => (fake.isMuted = fake.asked.length === asked + 1) && undefined;
  // when
  await media.revive();
  // then
  assert.deepEqual([fake.asked.length - asked, media.taken, media.microphoneIsOn], [2, kept, true]);
  assert.deepEqual(fake.given.filter(({ readyState, kind }) => readyState === "live" && kind === "audio"), [media.tracks.audio]);
});

test("whoever allows the camera later, in the browser's menu, has it on; whoever has switched it off meanwhile, not", async () => {
  for (const isOff of [false, true]) {
    const statuses = [];
    const query = async ({ name }) => (statuses.push({ name, state: "denied" }), statuses.at(-1));
    const phone = { answer: () => fail("NotAllowedError") };
    const media = new Media(devices((wish) => phone.answer(wish)), nothing, { query });
    await media.open();
    await settled();
    assert.deepEqual(media.failures, { audio: "denied", video: "denied" });
    if (isOff) await media.setCamera(false);
    // when
    phone.answer = () => undefined;
    for (const status of statuses.filter(({ name }) => name === "camera")) {
      status.state = "granted";
      status.onchange?.();
    }
    await settled();
    // then
    assert.deepEqual([media.cameraIsOn, media.microphoneIsOn], [!isOff, false]);
  }
});

test("whoever is muted is not told that the microphone was taken, and has a fresh one when they unmute", async () => {
  const { media } = await inCall();
  const { audio } = media.tracks;
  await media.setMicrophone(false);
  audio.mutes();
  assert.equal(media.taken.audio, null);
  // when
  await media.setMicrophone(true);
  // then
  assert.ok(media.microphoneIsOn && media.tracks.audio !== audio && media.tracks.audio.enabled);
});

test("a fresh capture of a user who is muted is muted", async () => {
  const { media } = await inCall();
  await media.setMicrophone(false);
  media.tracks.audio.mutes();
  media.tracks.audio.unmutes();
  await settled();
  assert.deepEqual([media.tracks.audio.enabled, media.microphoneIsOn], [false, false]);
});

test("a device that is interrupted again and again is not opened anew each time", async () => {
  const { media, fake } = await inCall();
  const asked = fake.asked.length;
  for (let time = 0; time < 10; time += 1) {
    media.tracks.audio.mutes();
    media.tracks.audio.unmutes();
    await settled();
  }
  assert.deepEqual([fake.asked.length - asked, media.microphoneIsOn], [3, true]);
});

test("a phone that gives both events and the page that is seen again cause one capture", async () => {
  const { media, fake } = await inCall();
  const asked = fake.asked.length;
  media.tracks.video.mutes();
  media.tracks.video.unmutes();
  await media.revive();
  await settled();
  assert.deepEqual([fake.asked.length - asked, media.cameraIsOn], [1, true]);
});

test("a camera that is unplugged is reported until it is plugged in again, and is on again then", async () => {
  const { media, phone, fake } = await inCall();
  // when
  phone.answer = () => fail("NotFoundError");
  media.tracks.video.ends();
  await fake.plugs();
  assert.deepEqual([media.taken.video, media.cameraIsOn], ["missing", false]);
  phone.answer = () => undefined;
  await fake.plugs("video:cam");
  // then
  assert.deepEqual([media.taken, media.cameraIsOn], [kept, true]);
});

test("a headset that is unplugged is replaced by what is there, and used again when it is back; both are said", async () => {
  const { media, phone, fake, replaced } = await inCall({ choice: { camera: "", microphone: "headset" } });
  phone.answer = ({ audio }) => (audio?.deviceId ? fail("OverconstrainedError") : "built in");
  media.tracks.audio.ends();
  await fake.plugs("audio:built in");
  assert.deepEqual(replaced, [["audio", "built in"]]);
  // when
  phone.answer = () => undefined;
  await fake.plugs("audio:built in", "audio:headset");
  // then
  assert.deepEqual([replaced.at(-1), media.tracks.audio.getSettings().deviceId], [["audio", "headset"], "headset"]);
  await fake.plugs("audio:built in", "audio:headset", "audio:third");
  assert.equal(replaced.length, 2);
});

test("a device whose track ends, and which is there all the same, is not said to be another", async () => {
  const { media, replaced } = await inCall({ choice: { camera: "", microphone: "desk" } });
  media.tracks.audio.ends();
  await settled();
  assert.deepEqual([media.microphoneIsOn, media.tracks.audio.getSettings().deviceId, replaced], [true, "desk", []]);
});

test("a device that was chosen last time is used as soon as it is plugged in", async () => {
  const phone = { isThere: false };
  const fake = devices(({ video }) => (video?.deviceId && !phone.isThere ? fail("OverconstrainedError") : undefined));
  const media = new Media(fake, { camera: "studio", microphone: "" });
  await media.open();
  assert.equal(media.tracks.video.getSettings().deviceId, "");
  phone.isThere = true;
  await fake.plugs("video:studio");
  assert.equal(media.tracks.video.getSettings().deviceId, "studio");
});

test("whoever chooses another device keeps it when the first one is back", async () => {
  const { media, phone, fake } = await inCall({ choice: { camera: "", microphone: "headset" } });
  phone.answer = ({ audio }) => (audio?.deviceId?.exact === "headset" ? fail("OverconstrainedError") : undefined);
  media.tracks.audio.ends();
  await settled();
  await media.choose("audio", "desk");
  await fake.plugs("audio:desk", "audio:headset");
  assert.equal(media.tracks.audio.getSettings().deviceId, "desk");
});

test("a camera that another program has taken is on again soon after it is free", async () => {
  const { media, phone, fake, clock } = await inCall();
  phone.answer = () => fail("NotReadableError");
  media.tracks.video.ends();
  await clock.advance(12_000);
  assert.deepEqual([media.taken.video, fake.asked.length], ["busy", 4]);
  phone.answer = () => undefined;
  await clock.advance(5_000);
  assert.deepEqual([media.taken, media.cameraIsOn], [kept, true]);
});

test("whoever does without a device that was taken is not bothered any more", async () => {
  const { media, phone, fake, clock } = await inCall();
  phone.answer = () => fail("NotReadableError");
  media.tracks.video.ends();
  media.tracks.audio.ends();
  await settled();
  // when
  await media.setCamera(false);
  await media.setMicrophone(false);
  const asked = fake.asked.length;
  phone.answer = () => undefined;
  await clock.advance(60_000);
  await fake.plugs("video:cam", "audio:mic");
  await media.revive();
  // then
  assert.deepEqual([media.taken, fake.asked.length, media.cameraIsOn], [kept, asked, false]);
});

test("a device that the user does not allow any more is said to be blocked, and is not asked for when others come", async () => {
  const { media, phone, fake } = await inCall();
  phone.answer = () => fail("NotAllowedError");
  media.tracks.video.ends();
  await settled();
  const asked = fake.asked.length;
  await fake.plugs("video:cam");
  assert.deepEqual([media.taken.video, fake.asked.length], ["denied", asked]);
});

test("earphones that come while the microphone is interrupted bring a fresh capture", async () => {
  const { media, fake } = await inCall();
  const { audio } = media.tracks;
  audio.mutes();
  await fake.plugs("audio:earphones");
  assert.ok(media.microphoneIsOn && media.tracks.audio !== audio);
});

test("after leaving, nothing that comes back is opened", async () => {
  const { media, phone, fake, clock } = await inCall();
  const { audio } = media.tracks;
  phone.answer = () => fail("NotReadableError");
  media.tracks.video.ends();
  audio.mutes();
  await settled();
  media.close();
  const asked = fake.asked.length;
  phone.answer = () => undefined;
  audio.unmutes();
  await fake.plugs("video:cam", "audio:mic");
  await clock.advance(60_000);
  assert.equal(fake.asked.length, asked);
});
