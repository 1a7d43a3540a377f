import assert from "node:assert/strict";
import { test } from "node:test";

import { askedOf } from "../js/wire/asked.js";

test("a link may ask for a name and for devices that are off, and for nothing else", () => {
  assert.deepEqual(askedOf("?name=Ada&mic=off&cam=off&lang=ko&theme=dark"), { name: "Ada", off: { audio: true, video: true } });
  for (const none of ["", "?mic=on&cam", "?mic=false&camera=off&name="]) {
    assert.deepEqual(askedOf(none), { name: "", off: { audio: false, video: false } }, none);
  }
});

test("the name in a link is one that can be seen, and short enough", () => {
  assert.equal(askedOf(`?name=${encodeURIComponent("  A\u202Eda\u200B ")}`).name, "Ada");
  assert.equal(askedOf(`?name=${encodeURIComponent("\u200B\u202E")}`).name, "");
  assert.equal([...askedOf(`?name=${encodeURIComponent("😀".repeat(100))}`).name].length, 64);
});
