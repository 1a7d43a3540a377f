import assert from "node:assert/strict";
import { test } from "node:test";

import { findEfficient, inOrder } from "../js/wire/codecs.js";
import { askForQuiet } from "../js/wire/opus.js";

const codecs = (...types) => types.map((mimeType) => ({ mimeType, clockRate: 90_000 }));
const types = (list) => list.map(({ mimeType }) => mimeType);

test("without hardware VP8 comes first, and no codec is left out", () => {
  const all = codecs("video/VP9", "video/rtx", "video/AV1", "video/H264", "video/VP8", "video/red");
  assert.deepEqual(types(inOrder(all, "video", new Set())), ["video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx", "video/red"]);
});

test("what the hardware encodes comes before all else", () => {
  const all = codecs("video/VP8", "video/VP9", "video/H264", "video/AV1");
  assert.deepEqual(types(inOrder(all, "video", new Set(["video/h264"]))), ["video/H264", "video/VP8", "video/VP9", "video/AV1"]);
});

test("of one codec, the profiles stay in the browser's order", () => {
  const profiles = ["a", "b"].map((sdpFmtpLine) => ({ mimeType: "video/H264", clockRate: 90_000, sdpFmtpLine }));
  assert.deepEqual(inOrder(profiles, "video", new Set()), profiles);
});

test("sound is offered with a copy for lost packets first", () => {
  assert.deepEqual(types(inOrder(codecs("audio/opus", "audio/PCMU", "audio/red"), "audio", new Set())), ["audio/red", "audio/opus", "audio/PCMU"]);
});

test("efficient is what the browser says of it; a browser that says nothing has nothing", async () => {
  const capabilities = { encodingInfo: async ({ video }) => (video.contentType === "video/vp9" ? Promise.reject(new Error()) : { supported: true, powerEfficient: video.contentType === "video/h264" }) };
  const all = codecs("video/VP8", "video/VP9", "video/H264", "video/rtx");
  assert.deepEqual([...(await findEfficient(capabilities, all))], ["video/h264"]);
  assert.deepEqual([...(await findEfficient(undefined, all))], []);
});

test("the other side is asked to send nothing while nobody speaks, and to protect the sound", () => {
  const sdp = "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=1\r\n";
  assert.equal(askForQuiet(sdp), "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=1\r\n");
});

test("a description without Opus, or without parameters, is left as it is", () => {
  for (const sdp of ["", "a=rtpmap:0 PCMU/8000\r\na=fmtp:0 x=1\r\n", "a=rtpmap:109 opus/48000/2\r\n"]) assert.equal(askForQuiet(sdp), sdp);
});
