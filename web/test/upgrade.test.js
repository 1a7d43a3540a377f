import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Upgrade } from "../js/wire/upgrade.js";
import { FakeClock } from "./fakes.js";

/** A connection that is seen once a second for a minute, over a path for each second; says when it was restarted. */
async function minute(pathAt, { isPolite = true, offersUdp = true, state = "connected" } = {}) {
  const clock = new FakeClock();
  const room = Object.assign(new Emitter(), { offersUdp });
  const upgrade = new Upgrade(room, clock);
  const restarts = [];
  const peer = { state, isPolite, restart: () => restarts.push(clock.now() / 1000) };
  for (let second = 0; second < 60; second += 1) {
    const local = pathAt(second);
    upgrade.saw({ id: "a", peer }, local && { local });
    await clock.advance(1_000);
  }
  return restarts;
}

test("a connection that began over TCP or TLS is restarted once", async () => {
  for (const path of ["relay/tcp", "relay/tls"]) assert.deepEqual(await minute(() => path), [20]);
});

test("the impolite side waits, as one restart serves both", async () => {
  assert.deepEqual(await minute(() => "relay/tcp", { isPolite: false }), [35]);
  assert.deepEqual(await minute((second) => (second < 22 ? "relay/tcp" : "relay/udp"), { isPolite: false }), []);
});

test("any other connection is left alone", async () => {
  for (const path of ["host", "srflx", "prflx", "relay/udp", "relay", null]) assert.deepEqual(await minute(() => path), []);
});

test("where the server offers no UDP there is nothing to try", async () => {
  assert.deepEqual(await minute(() => "relay/tcp", { offersUdp: false }), []);
});

test("a connection that is broken is the recovery's", async () => {
  assert.deepEqual(await minute(() => "relay/tcp", { state: "disconnected" }), []);
});
