import assert from "node:assert/strict";
import { test } from "node:test";

import { Unheard } from "../js/wire/unheard.js";

/** When the user was told, of what was loud from and until these milliseconds. */
function told(...loud) {
  const unheard = new Unheard();
  const times = [];
  for (let now = 0; now < 60_000; now += 100) {
    if (unheard.hear(loud.some(([from, until]) => now >= from && now < until), now)) times.push(now);
  }
  return times;
}

test("whoever speaks while muted is told after a moment, and not again at once", () => {
  assert.deepEqual(told([1_000, 5_000]), [2_200]);
  assert.deepEqual(told([1_000, 5_000], [20_000, 25_000], [40_000, 45_000]), [2_200, 41_200]);
});

test("a pause for breath does not end speech", () => {
  assert.deepEqual(told([1_000, 1_700], [2_000, 2_700]), [2_200]);
});

test("a cough, or a door that closes, is no speech", () => {
  assert.deepEqual(told([1_000, 1_900], [3_000, 3_900], [5_000, 5_500]), []);
});
