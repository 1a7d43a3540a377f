import assert from "node:assert/strict";
import { test } from "node:test";

import { lookOf } from "../js/wire/look.js";
import { History } from "../js/wire/stats.js";

const off = { mic: false, cam: false, screen: false, hand: false };

/** What is seen of somebody whose pictures were so many in all, second by second. */
function look(state, ...frames) {
  const history = new History();
  for (const framesDecoded of frames) {
    history.add(new Map([["v", { type: "inbound-rtp", kind: "video", framesDecoded }]]));
  }
  const { mic, cam } = lookOf({ ...off, ...state }, history.readings);
  return { mic, cam };
}

test("who never said anything is seen once pictures come, until they stop, and is taken to have a microphone", () => {
  const unsaid = { unsaid: true };
  assert.deepEqual(look(unsaid), { mic: true, cam: false });
  for (const frames of [[0], [0, 0, 0], [9, 30, 30, 30, 30]]) assert.equal(look(unsaid, ...frames).cam, false, `${frames}`);
  for (const frames of [[1], [0, 0, 1], [9, 30, 30, 30], [90, 2], [90, 0, 0, 1]]) assert.equal(look(unsaid, ...frames).cam, true, `${frames}`);
});

test("who says what they show is shown like that, whatever comes", () => {
  assert.deepEqual(look({}, 0, 30, 60), { mic: false, cam: false });
  assert.deepEqual(look({ cam: true }, 0, 0), { mic: false, cam: true });
});
