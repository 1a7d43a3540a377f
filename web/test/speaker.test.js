import assert from "node:assert/strict";
import { test } from "node:test";

import { Speaker } from "../js/wire/speaker.js";

const output = (deviceId) => ({ kind: "audiooutput", deviceId, label: `the ${deviceId}` });

/** What was said and done, in the order in which it was. */
function listenTo(speaker) {
  const heard = [];
  speaker.on("sink", (sink) => heard.push(["sink", sink]));
  speaker.on("replaced", (label) => heard.push(["replaced", label]));
  return heard;
}

test("earphones that are taken out are replaced by the default speaker, and used again when they are back; each is said once", () => {
  const speaker = new Speaker("earphones");
  const heard = listenTo(speaker);
  speaker.see([output("default"), output("earphones")]);
  assert.deepEqual(heard, []);
  // when
  for (let time = 0; time < 3; time += 1) speaker.see([output("default")]);
  assert.deepEqual([heard.splice(0), speaker.sink], [[["sink", ""], ["replaced", ""]], ""]);
  for (let time = 0; time < 3; time += 1) speaker.see([output("default"), output("earphones")]);
  // then
  assert.deepEqual([heard, speaker.sink], [[["sink", "earphones"], ["replaced", "the earphones"]], "earphones"]);
});

test("a speaker of last time is not said to be gone while the browser names none", () => {
  const speaker = new Speaker("earphones");
  const heard = listenTo(speaker);
  speaker.see([]);
  speaker.see([output("")]);
  assert.deepEqual([heard, speaker.sink], [[], "earphones"]);
});

test("whoever chooses another speaker has that one, whatever comes back", () => {
  const speaker = new Speaker("earphones");
  speaker.see([output("desk")]);
  const heard = listenTo(speaker);
  speaker.choose("desk");
  speaker.see([output("desk"), output("earphones")]);
  assert.deepEqual([heard, speaker.sink], [[["sink", "desk"]], "desk"]);
});

test("the default speaker is never said to be gone", () => {
  const speaker = new Speaker("");
  const heard = listenTo(speaker);
  speaker.see([output("desk")]);
  assert.deepEqual(heard, []);
});
