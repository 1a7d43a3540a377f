import assert from "node:assert/strict";
import { test } from "node:test";

import { Admin, Refused, causes, limits, rates, summary, topUsers } from "../js/wire/observed.js";

const sample = (time, bytes) => ({ time, up: { bytes } });
const upwards = (samples) => rates(samples, ({ up }) => up.bytes);

test("a rate is the difference of two samples over their time", () => {
  assert.deepEqual(upwards([sample(0, 0), sample(10, 500), sample(30, 900)]), [{ time: 10, value: 50 }, { time: 30, value: 20 }]);
});

test("a counter that began anew gives no negative rate, and samples of the same second none", () => {
  assert.deepEqual(upwards([sample(0, 900), sample(10, 20), sample(10, 30)]), [{ time: 10, value: 0 }]);
  assert.deepEqual(upwards([sample(0, 900)]), []);
});

test("of an hour, the last value, the average and the highest are shown", () => {
  assert.deepEqual(summary([1, 5, 3].map((value) => ({ value }))), { now: 3, average: 3, most: 5 });
  assert.deepEqual(summary([]), { now: 0, average: 0, most: 0 });
});

test("the most frequent cause comes first, and the first challenge of a session is none", () => {
  const refused = (reason, count) => ({ code: 401, reason, count });
  const requests = { allocate: { granted: 1, refused: [refused("challenge", 99), refused("wrong_password", 2)] }, refresh: { granted: 0, refused: [refused("stale_nonce", 5)] } };
  assert.deepEqual(causes({ relay: { requests } }).map(({ method, reason }) => `${method} ${reason}`), ["refresh stale_nonce", "allocate wrong_password"]);
});

test("the sessions of a user are summed, and who relays most comes first", () => {
  const session = (user, bytes) => ({ user, up: { bytes_per_second: bytes }, down: { bytes_per_second: 1 } });
  assert.deepEqual(topUsers([session("ada", 5), session("bob", 20), session("ada", 6)]), [{ user: "bob", sessions: 1, bytes: 21 }, { user: "ada", sessions: 2, bytes: 13 }]);
});

test("limits are shown without the process where the system tells nothing of it", () => {
  const observed = { relay: { allocations: [1, 2], most_allocations: 10 }, front: { connections: 4, most_connections: 20 }, process: null };
  assert.deepEqual(limits(observed).map(({ used, most }) => [used, most]), [[3, 10], [4, 20]]);
});

test("the token is shown with each question, and a refusal says its status", async () => {
  const asked = [];
  const admin = new Admin(async (path, { headers }) => (asked.push([path, headers]), { ok: path !== "/no", status: 401, json: async () => 7 }));
  assert.equal(await admin.ask("/status"), 7);
  admin.token = "hairpin_x";
  await assert.rejects(admin.ask("/no"), (error) => error instanceof Refused && error.status === 401);
  assert.deepEqual(asked, [["/status", {}], ["/no", { authorization: "Bearer hairpin_x" }]]);
});
