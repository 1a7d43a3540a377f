import assert from "node:assert/strict";
import { test } from "node:test";

import { Media } from "../js/wire/media.js";
import { devices, fail, track } from "./fakes.js";

/** Somebody with camera and microphone who shares a tab with its sound; `mixed` are the mixes that were made. */
async function sharer({ hasSound = true, isMissing = false, constraints = {} } = {}) {
  const asked = [];
  const shared = [];
  const fake = {
    ...devices(({ audio }) => (audio && isMissing ? fail("NotFoundError") : undefined)),
    getSupportedConstraints: () => constraints,
    getDisplayMedia: async (wish) => {
      asked.push(wish);
      const tracks = [track("video"), ...(hasSound ? [track("audio")] : [])];
      shared.push(tracks);
      return { getTracks: () => tracks, getVideoTracks: () => tracks.slice(0, 1), getAudioTracks: () => tracks.slice(1) };
    },
  };
  const mixed = [];
  const mix = (tracks) => {
    const one = { tracks, track: track("audio"), isOpen: true, close: () => void (one.isOpen = false) };
    mixed.push(one);
    return one;
  };
  const media = new Media(fake, { camera: "", microphone: "" }, undefined, { mix });
  await media.open();
  const sent = [];
  media.on("track", (kind, it) => sent.push([kind, it]));
  return { media, asked, shared, mixed, sent };
}

test("a tab's sound is sent together with the voice, and the camera stays", async () => {
  const { media, shared, mixed, sent } = await sharer();
  const { microphone, camera } = media;
  await media.shareScreen();
  const [[picture, sound]] = shared;
  assert.deepEqual(mixed.map(({ tracks }) => tracks), [[microphone, sound]]);
  assert.deepEqual(media.tracks, { audio: mixed[0].track, video: camera, screen: picture });
  assert.deepEqual(sent, [["audio", mixed[0].track], ["screen", picture]]);
});

test("a screen without a sound changes nothing about the voice", async () => {
  const { media, mixed, sent } = await sharer({ hasSound: false });
  const { microphone } = media;
  await media.shareScreen();
  assert.deepEqual([media.tracks.audio, mixed, sent.map(([kind]) => kind)], [microphone, [], ["screen"]]);
});

test("a browser that gives no sound of a screen is told from one whose user wants none", async () => {
  for (const [constraints, hasSound, isSilent] of [[{}, false, true], [{}, true, false], [{ suppressLocalAudioPlayback: true }, false, false]]) {
    const { media } = await sharer({ hasSound, constraints });
    assert.equal(media.screenIsSilent, false, "nothing is shared");
    await media.shareScreen();
    assert.equal(media.screenIsSilent, isSilent);
    media.stopScreen();
    assert.equal(media.screenIsSilent, false);
  }
});

test("when sharing ends, the voice is sent alone again", async () => {
  for (const end of [({ media }) => media.stopScreen(), ({ shared }) => shared[0][0].onended()]) {
    const it = await sharer();
    await it.media.shareScreen();
    end(it);
    assert.deepEqual(it.media.tracks, { audio: it.media.microphone, video: it.media.camera, screen: null });
    assert.deepEqual([it.mixed[0].isOpen, it.shared[0].map(({ readyState }) => readyState)], [false, ["ended", "ended"]]);
  }
});

test("when the sound alone ends, the screen stays", async () => {
  const { media, shared } = await sharer();
  await media.shareScreen();
  shared[0][1].onended();
  assert.deepEqual(media.tracks, { audio: media.microphone, video: media.camera, screen: shared[0][0] });
});

test("another microphone takes the place of the one before in the mix", async () => {
  const { media, shared, mixed } = await sharer();
  await media.shareScreen();
  await media.choose("audio", "other");
  assert.deepEqual(media.tracks.audio, mixed[1].track);
  assert.deepEqual([mixed[1].tracks, mixed[0].isOpen], [[media.microphone, shared[0][1]], false]);
});

test("who is muted still lets the others hear the film", async () => {
  const { media } = await sharer();
  await media.shareScreen();
  await media.setMicrophone(false);
  assert.deepEqual([media.microphone.enabled, media.tracks.audio.enabled], [false, true]);
});

test("who has no microphone sends the sound alone", async () => {
  const { media, shared, mixed } = await sharer({ isMissing: true });
  await media.shareScreen();
  assert.deepEqual([mixed[0].tracks, media.tracks.audio], [[shared[0][1]], mixed[0].track]);
});

test("the page's own tab is not offered, nor a sound in which the others would hear themselves", async () => {
  const { media, asked } = await sharer();
  await media.shareScreen();
  assert.deepEqual([asked[0].selfBrowserSurface, asked[0].systemAudio, asked[0].audio.restrictOwnAudio], ["exclude", "exclude", undefined]);
});

test("the machine's sound is offered where the browser leaves out what this page plays", async () => {
  const { media, asked } = await sharer({ constraints: { restrictOwnAudio: true } });
  await media.shareScreen();
  assert.deepEqual([asked[0].systemAudio, asked[0].audio.restrictOwnAudio], ["include", true]);
});

test("a film is not filtered as a voice is", async () => {
  const { media, asked } = await sharer();
  await media.shareScreen();
  const { echoCancellation, noiseSuppression, autoGainControl } = asked[0].audio;
  assert.deepEqual([echoCancellation, noiseSuppression, autoGainControl], [false, false, false]);
});

test("another screen takes the place of the one before", async () => {
  const { media, shared } = await sharer();
  await media.shareScreen();
  await media.shareScreen();
  assert.deepEqual([media.tracks.screen, shared[0].map(({ readyState }) => readyState)], [shared[1][0], ["ended", "ended"]]);
});
