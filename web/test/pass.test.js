import assert from "node:assert/strict";
import { test } from "node:test";

import { exchange, isCurrent } from "../js/wire/pass.js";
import { FakeClock } from "./fakes.js";

test("a token is current until its last second is over, and what is no token never is", () => {
  for (const token of ["r1.100.*.x", "p1.100.YQ.x"]) {
    assert.ok(isCurrent(token, 100_999), token);
    assert.ok(!isCurrent(token, 101_000), token);
  }
  for (const none of ["", "r2.100.*.x", "r1.*.x", "100"]) assert.ok(!isCurrent(none, 0), none);
});

test("the password goes to the server once, with the token that was given for it earlier", async () => {
  const asked = [];
  const fetch = async (url, init) => (asked.push([url, init]), { ok: true, json: async () => ({ token: "p1.9.*.x", expires_at: 9 }) });
  assert.deepEqual(await exchange(fetch, new FakeClock(), "correct horse", "p1.1.*.y"), { token: "p1.9.*.x" });
  await exchange(fetch, new FakeClock(), "correct horse", "");
  const [[url, { method, headers, body }], [, { headers: without }]] = asked;
  assert.deepEqual([url, method, body], ["/api/v1/room-password", "POST", '{"password":"correct horse"}']);
  assert.deepEqual([headers.Authorization, without.Authorization], ["Bearer p1.1.*.y", undefined]);
});

test("a page is told whether the password is wrong, or when to try again, or that nobody answers", async () => {
  const answer = (status, after) => exchange(async () => ({ ok: false, status, headers: new Headers(after && { "retry-after": after }) }), new FakeClock(), "a", "");
  assert.deepEqual(await answer(403), { failed: "wrong" });
  assert.deepEqual(await answer(429, "6"), { failed: "wait", seconds: 6 });
  assert.deepEqual(await answer(503, "1"), { failed: "wait", seconds: 1 });
  assert.deepEqual(await answer(500), { failed: "silent" });
  const clock = new FakeClock();
  const silent = exchange(() => new Promise(() => {}), clock, "a", "");
  await clock.advance(10_000);
  assert.deepEqual(await silent, { failed: "silent" });
});
