import assert from "node:assert/strict";
import { test } from "node:test";

import { Pace } from "../js/wire/pace.js";
import { FakeClock } from "./fakes.js";

/** A way, and what lets it see the same for so many seconds. */
function way() {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  const see = async (seconds, { loss = 0, rtt = 40, sent = Infinity, over = "" } = {}) => {
    for (let i = 0; i < seconds; i += 1) {
      await clock.advance(1_000);
      pace.see({ loss, rtt, way: over }, Math.min(sent, pace.limit));
    }
    return pace.limit;
  };
  return { pace, see };
}

test("without a loss nothing is held back", async () => {
  const { see } = way();
  assert.equal(await see(60), 4_000_000);
});

test("a loss makes less be sent than what was sent, and a heavy one much less", async () => {
  assert.equal(await way().see(1, { loss: 0.05, sent: 1_000_000 }), 800_000);
  assert.equal(await way().see(1, { loss: 0.2, sent: 1_000_000 }), 600_000);
});

test("a change has to show before the next one", async () => {
  const { see } = way();
  await see(1, { loss: 0.05, sent: 1_000_000 });
  assert.equal(await see(1, { loss: 0.05, sent: 1_000_000 }), 800_000);
  assert.ok((await see(1, { loss: 0.05 })) < 800_000);
});

test("a queue on the way counts as a loss does", async () => {
  const { see } = way();
  await see(5);
  assert.equal(await see(1, { rtt: 400, sent: 1_000_000 }), 800_000);
});

test("another way has another round trip, which is no queue", async () => {
  const { pace, see } = way();
  await see(5);
  assert.equal(await see(30, { rtt: 700, over: "relay" }), 4_000_000);
  assert.equal(pace.isPaused, false);
});

test("a way that has become longer is no queue for ever", async () => {
  const { pace, see } = way();
  await see(5);
  await see(120, { rtt: 600, sent: 1_000_000 });
  assert.equal(pace.isPaused, false);
  assert.ok((await see(60, { rtt: 600 })) > 500_000);
});

test("a few lost packets are no reason", async () => {
  assert.equal(await way().see(10, { loss: 0.02 }), 4_000_000);
});

test("more is tried only after a while without loss, and little by little", async () => {
  const { see } = way();
  await see(1, { loss: 0.2, sent: 1_000_000 });
  assert.equal(await see(14), 600_000);
  const later = await see(10);
  assert.ok(later > 900_000 && later < 1_200_000, `${later}`);
});

test("where even the smallest picture is too much, pictures are paused", async () => {
  const { pace, see } = way();
  await see(20, { loss: 0.2, sent: 100_000 });
  assert.equal(pace.isPaused, true);
});

test("a loss that does not last pauses nothing", async () => {
  const { pace, see } = way();
  await see(3, { loss: 0.2, sent: 100_000 });
  await see(30);
  assert.equal(pace.isPaused, false);
});

test("paused pictures are tried again, each time later if they fail again", async () => {
  const { pace, see } = way();
  const pauses = [];
  for (let round = 0; round < 3; round += 1) {
    while (!pace.isPaused) await see(1, { loss: 0.2, sent: 100_000 });
    let seconds = 0;
    for (; pace.isPaused; seconds += 1) await see(1);
    pauses.push(seconds);
  }
  assert.deepEqual(pauses, [15, 30, 60]);
});

test("without reports nothing is concluded from a pause", async () => {
  const { pace, see } = way();
  await see(4, { loss: 0.2, sent: 100_000 });
  await see(60, { loss: null });
  assert.equal(pace.isPaused, false);
});
