import assert from "node:assert/strict";
import { test } from "node:test";

import { isInCall } from "../js/wire/rejoin.js";

const last = { room: "r", name: "Ada", policy: "all", at: 100_000 };
const page = { room: "r", now: 101_000, isReload: true };

test("a page that is reloaded in a call is in the call again", () => {
  assert.ok(isInCall(last, page));
});

test("whoever opens the room anew, later, or another room is in the lobby first", () => {
  assert.equal(isInCall(undefined, page), false);
  assert.equal(isInCall(last, { ...page, isReload: false }), false);
  assert.equal(isInCall(last, { ...page, room: "other" }), false);
  assert.equal(isInCall(last, { ...page, now: 131_000 }), false);
  // A clock that was set back proves nothing.
  assert.equal(isInCall(last, { ...page, now: 99_000 }), false);
});
