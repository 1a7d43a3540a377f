import assert from "node:assert/strict";
import { test } from "node:test";

import { Seat } from "../js/wire/seat.js";
import { FakeClock, settled } from "./fakes.js";

const abort = () => Object.assign(new Error(), { name: "AbortError" });

/** The locks of one browser. */
class FakeLocks {
  /** @type {Map<string, { lose: () => void, freed: Promise<void> }>} */
  held = new Map();

  async request(name, { signal, steal }, callback) {
    if (steal) this.held.get(name)?.lose();
    else {
      const aborted = new Promise((_, refuse) => signal.addEventListener("abort", () => refuse(abort())));
      while (this.held.has(name)) await Promise.race([this.held.get(name).freed, aborted]);
    }
    return new Promise((resolve, reject) => {
      const freed = callback().then(() => {
        if (this.held.get(name) === entry) this.held.delete(name);
        resolve();
      });
      const entry = { freed, lose: () => reject(abort()) };
      this.held.set(name, entry);
    });
  }
}

function tabs(room = "garden") {
  const [locks, clock] = [new FakeLocks(), new FakeClock()];
  const lost = [];
  const seats = [1, 2].map((tab) => Object.assign(new Seat(locks, room), { onlost: () => lost.push(tab) }));
  return { seats, lost, clock, locks };
}

test("the second tab of a browser does not get the place in a call, but may take it", async () => {
  const { seats: [first, second], lost, clock } = tabs();
  assert.equal(await first.take(clock), true);
  const taking = second.take(clock);
  await clock.advance(1000);
  assert.equal(await taking, false);
  assert.deepEqual(lost, []);
  // when
  assert.equal(await second.seize(), true);
  await settled();
  // then
  assert.deepEqual(lost, [1]);
});

test("a place that is given back within a moment is free, as in a reload", async () => {
  const { seats: [first, second], lost, clock } = tabs();
  await first.take(clock);
  const taking = second.take(clock);
  await clock.advance(300);
  first.release();
  assert.equal(await taking, true);
  assert.deepEqual(lost, []);
});

test("other calls, and pages without locks, have a place for everybody", async () => {
  const { seats: [first], locks, clock } = tabs();
  await first.take(clock);
  assert.equal(await new Seat(locks, "kitchen").take(clock), true);
  assert.equal(await new Seat(undefined, "garden").take(clock), true);
  new Seat(undefined, "garden").release();
  const forbidden = { request: () => Promise.reject(Object.assign(new Error(), { name: "SecurityError" })) };
  assert.equal(await new Seat(forbidden, "garden").take(clock), true);
});
