import assert from "node:assert/strict";
import { test } from "node:test";

import { failure } from "../js/wire/failure.js";
import { Media } from "../js/wire/media.js";
import { devices, fail, settled } from "./fakes.js";

const nothing = { camera: "", microphone: "" };

test("without a camera the microphone is used all the same, and the other way round", async () => {
  const media = new Media(devices((wish) => (wish.video ? fail("NotFoundError") : undefined)), nothing);
  await media.open();
  assert.deepEqual([media.microphoneIsOn, media.cameraIsOn, media.failures], [true, false, { audio: null, video: "missing" }]);
});

test("a device that was chosen last time and is gone is replaced by any", async () => {
  const fake = devices((wish) => (wish.video?.deviceId ? fail("OverconstrainedError") : undefined));
  const media = new Media(fake, { camera: "gone", microphone: "" });
  await media.open();
  assert.ok(media.cameraIsOn && media.microphoneIsOn);
});

test("every failure has a name that can be explained", async () => {
  const names = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy", AbortError: "busy", TypeError: "broken" };
  for (const [name, kind] of Object.entries(names)) assert.equal(failure({ name }), kind);
  const insecure = new Media(undefined, nothing);
  await insecure.open();
  assert.deepEqual(insecure.failures, { audio: "insecure", video: "insecure" });
});

test("mute keeps the microphone; a camera that is off is let go of", async () => {
  const media = new Media(devices(), nothing);
  await media.open();
  const { audio, video } = media.tracks;
  await media.setMicrophone(false);
  await media.setCamera(false);
  assert.deepEqual([audio.readyState, audio.enabled, video.readyState, media.tracks.video], ["live", false, "ended", null]);
  await media.setMicrophone(true);
  assert.equal(audio.enabled, true);
});

test("what was switched off before a reload stays off: the camera is not asked for, and the microphone is muted", async () => {
  const fake = devices();
  const media = new Media(fake, nothing, undefined, { off: { audio: true, video: true } });
  await media.open();
  assert.deepEqual([Object.keys(fake.asked[0]), fake.asked.length, media.tracks.audio.enabled], [["audio"], 1, false]);
  assert.deepEqual([media.microphoneIsOn, media.cameraIsOn, media.cameraIsWanted, media.failures], [false, false, false, { audio: null, video: null }]);
  // when
  await media.setMicrophone(true);
  await media.setCamera(true);
  // then
  assert.deepEqual([media.microphoneIsOn, media.cameraIsOn, media.off], [true, true, { audio: false, video: false }]);
});

test("what is off is what the user has switched off, and not what is missing", async () => {
  const media = new Media(devices(() => fail("NotFoundError")), nothing);
  await media.open();
  assert.deepEqual(media.off, { audio: false, video: false });
  await media.setCamera(false);
  await media.setMicrophone(false);
  assert.deepEqual(media.off, { audio: true, video: true });
});

test("music is captured with nothing filtered out of it, at once and with every other microphone", async () => {
  const fake = devices();
  const media = new Media(fake, nothing);
  await media.open();
  const { audio } = media.tracks;
  // when
  await media.setMusic(true);
  await media.choose("audio", "other");
  // then
  const filters = ({ audio: { echoCancellation, noiseSuppression, autoGainControl } }) => [echoCancellation, noiseSuppression, autoGainControl];
  assert.deepEqual(fake.asked.map(filters), [[true, true, true], [false, false, false], [false, false, false]]);
  assert.deepEqual([audio.readyState, media.tracks.audio.contentHint, media.isMusic], ["ended", "music", true]);
  await media.setMusic(false);
  assert.deepEqual([filters(fake.asked.at(-1)), media.tracks.audio.contentHint], [[true, true, true], ""]);
});

test("whoever is muted stays so when music begins", async () => {
  const media = new Media(devices(), nothing);
  await media.open();
  await media.setMicrophone(false);
  await media.setMusic(true);
  assert.equal(media.tracks.audio.enabled, false);
});

test("the background is blurred where the browser leaves the choice, and stays so with every other camera", async () => {
  const fake = devices();
  const media = new Media(fake, nothing);
  await media.open();
  assert.equal(media.canBlur, false);
  const { video } = media.tracks;
  let settings = { backgroundBlur: false };
  Object.assign(video, {
    getCapabilities: () => ({ backgroundBlur: [true, false] }),
    getSettings: () => settings,
    applyConstraints: async ({ backgroundBlur }) => void (settings = { backgroundBlur }),
  });
  // when
  await media.setBlur(true);
  assert.deepEqual([media.canBlur, media.isBlurred], [true, true]);
  await media.choose("video", "other");
  // then
  assert.equal(fake.asked.at(-1).video.backgroundBlur, true);
  // A camera that is always blurred is no choice.
  media.tracks.video.getCapabilities = () => ({ backgroundBlur: [true] });
  assert.equal(media.canBlur, false);
});

test("a shared screen is sent beside the camera, until it ends", async () => {
  const media = new Media(devices(), nothing);
  const sent = [];
  await media.open();
  media.on("track", (kind, it) => sent.push([kind, it]));
  const camera = media.tracks.video;
  await media.shareScreen();
  const { screen, video } = media.tracks;
  screen.onended();
  assert.deepEqual([sent, video, media.screenIsOn, camera.readyState], [[["screen", screen], ["screen", null]], camera, false, "live"]);
});

test("a microphone that is unplugged is replaced by another, if there is one", async () => {
  const fake = devices();
  const media = new Media(fake, nothing);
  await media.open();
  const { audio } = media.tracks;
  audio.onended();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(media.microphoneIsOn && media.tracks.audio !== audio);
});

test("whoever switches the camera off while it still starts has it off", async () => {
  const media = new Media(devices(), nothing);
  await media.setCamera(false);
  const starting = media.setCamera(true);
  await media.setCamera(false);
  await starting;
  assert.equal(media.cameraIsOn, false);
});

test("a microphone that is muted stays muted when another is chosen", async () => {
  const media = new Media(devices(), nothing);
  await media.open();
  await media.setMicrophone(false);
  await media.choose("audio", "other");
  assert.deepEqual([media.tracks.audio.enabled, media.microphoneIsOn], [false, false]);
});

test("whoever leaves while something still starts has nothing on, whatever they allow then", async () => {
  for (const start of ["open", "shareScreen", "setCamera", "setMicrophone"]) {
    const fake = devices();
    const media = new Media(fake, nothing);
    // when
    const starting = media[start](true);
    media.close();
    await starting;
    // then
    assert.deepEqual([start, media.tracks, fake.given.map(({ readyState }) => readyState).filter((state) => state !== "ended")], [start, { audio: null, video: null, screen: null }, []]);
    assert.ok(fake.given.length > 0);
  }
});

test("whoever leaves is not asked any more", async () => {
  const fake = devices(() => fail("NotFoundError"));
  const media = new Media(fake, nothing);
  const opening = media.open();
  media.close();
  await opening;
  await media.open();
  await media.setCamera(true);
  assert.equal(fake.asked.length, 1);
});

test("whoever switches the camera off while both are still asked for has the microphone alone", async () => {
  const media = new Media(devices(), nothing);
  const opening = media.open();
  await media.setCamera(false);
  await opening;
  assert.deepEqual([media.cameraIsOn, media.microphoneIsOn], [false, true]);
});

test("what still starts is wanted, and who presses again calls it off", async () => {
  const media = new Media(devices(), nothing);
  // when: everything is pressed twice
  const starting = [media.setCamera(!media.cameraIsWanted), media.setMicrophone(!media.microphoneIsWanted)];
  const between = [media.cameraIsWanted, media.cameraIsOn, media.microphoneIsWanted, media.microphoneIsOn];
  await Promise.all([media.setCamera(!media.cameraIsWanted), media.setMicrophone(!media.microphoneIsWanted), ...starting]);
  // then
  assert.deepEqual(between, [true, false, true, false]);
  assert.deepEqual([media.cameraIsWanted, media.microphoneIsWanted, media.tracks], [false, false, { audio: null, video: null, screen: null }]);
});

test("the page hears that something starts, and that it does not", async () => {
  const media = new Media(devices(() => fail("NotFoundError")), nothing);
  const heard = [];
  media.on("changed", () => heard.push([media.microphoneIsWanted, media.cameraIsWanted]));
  await media.setCamera(true);
  assert.deepEqual([heard[0], heard.at(-1)], [[false, true], [false, false]]);
  await media.open();
  assert.ok(heard.some(([microphone, camera]) => microphone && camera));
  assert.deepEqual(heard.at(-1), [false, false]);
});

test("what was called off has not failed", async () => {
  let works = false;
  const media = new Media(devices(() => (works ? undefined : fail("NotReadableError"))), nothing);
  await media.open();
  works = true;
  const starting = [media.setCamera(true), media.setMicrophone(true)];
  await Promise.all([media.setCamera(false), media.setMicrophone(false), ...starting]);
  assert.deepEqual(media.failures, { audio: null, video: null });
});

test("a listener that fails is no failure of the microphone", async () => {
  const media = new Media(devices(), nothing);
  media.on("track", () => {
    throw new Error("NotSupportedError");
  });
  await assert.rejects(media.setMicrophone(true));
  assert.deepEqual([media.microphoneIsOn, media.failures.audio], [true, null]);
});

test("what a phone took away in the background is asked for again when the page is seen", async () => {
  let isSeen = true;
  const media = new Media(devices(() => (isSeen ? undefined : fail("NotReadableError"))), nothing);
  await media.open();
  // when
  isSeen = false;
  media.tracks.audio.onended();
  media.tracks.video.onended();
  await settled();
  assert.deepEqual([media.microphoneIsWanted, media.cameraIsWanted], [false, false]);
  await media.revive();
  assert.deepEqual(media.failures, { audio: "busy", video: "busy" });
  isSeen = true;
  await media.revive();
  // then
  assert.deepEqual([media.microphoneIsOn, media.cameraIsOn, media.failures], [true, true, { audio: null, video: null }]);
});

test("what was switched off is not asked for again when the page is seen", async () => {
  let isSeen = true;
  const fake = devices(() => (isSeen ? undefined : fail("NotReadableError")));
  const media = new Media(fake, nothing);
  await media.open();
  isSeen = false;
  media.tracks.video.onended();
  await media.setCamera(false);
  isSeen = true;
  await settled();
  const asked = fake.asked.length;
  await media.revive();
  assert.deepEqual([fake.asked.length, media.cameraIsOn, media.microphoneIsOn], [asked, false, true]);
});

test("whoever says no when the page is seen again is not asked each time", async () => {
  let answer = undefined;
  const fake = devices(() => answer && fail(answer));
  const media = new Media(fake, nothing);
  await media.open();
  answer = "NotAllowedError";
  media.tracks.video.onended();
  await settled();
  await media.revive();
  const asked = fake.asked.length;
  await media.revive();
  assert.equal(fake.asked.length, asked);
});

test("what gives nothing after an interruption is replaced, and a microphone that cannot be is kept", async () => {
  let isFree = true;
  const media = new Media(devices(() => (isFree ? undefined : fail("NotReadableError"))), nothing);
  await media.open();
  const { audio, video } = media.tracks;
  audio.muted = video.muted = true;
  // when: during a call, and after it
  isFree = false;
  await media.revive();
  assert.deepEqual([media.tracks.audio === audio, media.tracks.video], [true, null]);
  isFree = true;
  await media.revive();
  // then
  assert.ok(media.microphoneIsOn && media.tracks.audio !== audio && audio.readyState === "ended");
  assert.ok(media.cameraIsOn && media.tracks.video !== video);
});

test("on a phone the camera switches between its two sides, however many lenses there are", async () => {
  const fake = devices();
  fake.enumerateDevices = async () => ["front", "wide", "tele"].map((deviceId) => ({ kind: "videoinput", deviceId }));
  const media = new Media(fake, { camera: "front", microphone: "" });
  await media.open();
  // when
  media.camera.getSettings = () => ({ deviceId: "front", facingMode: "user" });
  await media.switchCamera();
  media.camera.getSettings = () => ({ deviceId: "wide", facingMode: "environment" });
  await media.switchCamera();
  // then
  const [there, back] = fake.asked.slice(-2).map(({ video }) => [video.facingMode, video.deviceId]);
  assert.deepEqual([there, back], [["environment", undefined], ["user", undefined]]);
});

test("cameras that do not say where they look follow one another", async () => {
  const fake = devices();
  fake.enumerateDevices = async () => ["a", "b"].map((deviceId) => ({ kind: "videoinput", deviceId }));
  const media = new Media(fake, nothing);
  await media.open();
  media.camera.getSettings = () => ({ deviceId: "a" });
  await media.switchCamera();
  assert.deepEqual(fake.asked.at(-1).video.deviceId, { exact: "b" });
});

/** A browser that tells what it allows. */
const allowing = (states) => ({ query: async ({ name }) => ({ state: states[name] }) });

/** What is asked for, one question after another, when both at once are refused. */
async function askedAfterNo(permissions, answer = (wish) => fail("NotAllowedError")) {
  const fake = devices(answer);
  const media = new Media(fake, nothing, permissions);
  await media.open();
  return { media, asked: fake.asked.map((wish) => Object.keys(wish).join(" and ")) };
}

test("whoever says no is asked once", async () => {
  for (const state of ["prompt", "denied"]) {
    const { media, asked } = await askedAfterNo(allowing({ microphone: state, camera: state }));
    assert.deepEqual(asked, ["audio and video"]);
    assert.deepEqual([media.failures, media.microphoneIsWanted, media.cameraIsWanted], [{ audio: "denied", video: "denied" }, false, false]);
  }
});

test("what is allowed already is had in spite of a no to the other", async () => {
  const { media, asked } = await askedAfterNo(allowing({ microphone: "granted", camera: "denied" }), (wish) => (wish.video ? fail("NotAllowedError") : undefined));
  assert.deepEqual(asked, ["audio and video", "audio"]);
  assert.deepEqual([media.microphoneIsOn, media.failures], [true, { audio: null, video: "denied" }]);
});

test("what nobody was asked for, since the other is forbidden, is asked for alone", async () => {
  const { asked } = await askedAfterNo(allowing({ microphone: "prompt", camera: "denied" }));
  assert.deepEqual(asked, ["audio and video", "audio"]);
});

test("where the browser does not tell what it allows, each is asked for alone", async () => {
  const unknown = { query: () => Promise.reject(new TypeError()) };
  for (const permissions of [undefined, unknown]) assert.deepEqual((await askedAfterNo(permissions)).asked, ["audio and video", "audio", "video"]);
});

test("what is called off while the browser is asked what it allows is not asked for", async () => {
  const fake = devices(() => fail("NotAllowedError"));
  let media;
  media = new Media(fake, nothing, { query: async () => (media.close(), { state: "granted" }) });
  await media.open();
  assert.equal(fake.asked.length, 1);
});

test("a device that is gone is not replaced after leaving", async () => {
  const fake = devices(() => fail("OverconstrainedError"));
  const media = new Media(fake, { camera: "gone", microphone: "" });
  const starting = media.setCamera(true);
  media.close();
  await starting;
  assert.equal(fake.asked.length, 1);
});
