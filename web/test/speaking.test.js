import assert from "node:assert/strict";
import { test } from "node:test";

import { Speaker } from "../js/wire/speaking.js";

/** Who is looked at, when for so many milliseconds each of these speak. */
function heard(...turns) {
  const speaker = new Speaker();
  let now = 0;
  return turns.map(([ms, ...speaking]) => {
    for (const end = now + ms; now < end; now += 150) {
      for (const id of ["a", "b"]) speaker.hear(id, speaking.includes(id), now);
    }
    return speaker.current;
  });
}

test("who speaks is looked at, and stays so in the silence after it", () => {
  assert.deepEqual(heard([1_500, "a"], [10_000], [1_500, "b"]), ["a", "a", "b"]);
});

test("a cough moves nothing", () => {
  assert.deepEqual(heard([3_000, "a"], [900, "b"], [3_000], [600, "b"], [300], [900, "b"]), ["a", "a", "a", "a", "a", "a"]);
});

test("who speaks is not left for an interruption, but for somebody who goes on", () => {
  assert.deepEqual(heard([3_000, "a"], [4_500, "a", "b"], [1_500, "a"], [7_500, "a", "b"]), ["a", "a", "a", "b"]);
});

test("two who speak at once do not alternate quickly", () => {
  const seen = heard([3_000, "a"], ...Array(20).fill([1_500, "a", "b"]));
  const changes = seen.filter((id, i) => i > 0 && id !== seen[i - 1]).length;
  assert.ok(changes <= 5, `${changes}`);
});

test("who has left is looked at no more", () => {
  const speaker = new Speaker();
  for (const now of [0, 1_500]) speaker.hear("a", true, now);
  speaker.forget("a");
  assert.equal(speaker.current, "");
  for (const now of [2_000, 3_500]) speaker.hear("b", true, now);
  assert.equal(speaker.current, "b");
});
