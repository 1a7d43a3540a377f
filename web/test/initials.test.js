import assert from "node:assert/strict";
import { test } from "node:test";

import { initials } from "../js/wire/initials.js";

test("a letter of the first name and one of the last", () => {
  for (const [name, shown] of [["Ada", "A"], ["ada lovelace", "AL"], ["Ana María del Río", "AR"], ["하나", "하"], ["", "·"], ["  ", "·"]]) {
    assert.equal(initials(name), shown);
  }
});

test("what people see as one letter is not taken apart, and what nobody sees is none", () => {
  assert.equal(initials("👩‍👩‍👧 Kim"), "👩‍👩‍👧K");
  assert.equal(initials("🏳️‍🌈"), "🏳️‍🌈");
  assert.equal(initials("e\u0301milie"), "E\u0301");
  assert.equal(initials("\u200eAda"), "A");
});
