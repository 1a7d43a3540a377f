import assert from "node:assert/strict";
import { test } from "node:test";

import { cornerBeside, cornerNamed, cornerNear } from "../js/wire/corner.js";

test("arrows lead to the corner in their direction, and a press to all four in turn", () => {
  assert.equal(cornerBeside("bottom-right", "ArrowLeft"), "bottom-left");
  assert.equal(cornerBeside("bottom-left", "ArrowLeft"), "bottom-left");
  assert.equal(cornerBeside("bottom-left", "ArrowUp"), "top-left");
  const round = ["bottom-right"];
  for (let i = 0; i < 4; i += 1) round.push(cornerBeside(round.at(-1), ""));
  assert.deepEqual(round, ["bottom-right", "bottom-left", "top-left", "top-right", "bottom-right"]);
});

test("the corner is the one next to where the picture was let go", () => {
  const box = { x: 100, y: 50, width: 400, height: 300 };
  assert.equal(cornerNear({ x: 120, y: 60 }, box), "top-left");
  assert.equal(cornerNear({ x: 480, y: 60 }, box), "top-right");
  assert.equal(cornerNear({ x: 320, y: 330 }, box), "bottom-right");
});

test("what is remembered is a corner, or the usual one", () => {
  assert.equal(cornerNamed("top-left"), "top-left");
  assert.equal(cornerNamed(""), "bottom-right");
  assert.equal(cornerNamed("middle"), "bottom-right");
});
