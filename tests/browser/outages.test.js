/** What goes wrong while people call: the way to the server is lost, or the server is. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Cable } from "./support/cable.js";
import { freePorts } from "./support/config.js";
import { Venue } from "./support/venue.js";

/** What browsers say of a server that is not there. */
const UNREACHABLE = /WebSocket connection to .* failed|ERR_CONNECTION_RE(FUSED|SET)/;
/** Between two pictures, on a machine that does a lot else. */
const GAP_LIMIT = 2_000;

const venue = new Venue();
/** @type {Cable} */
let cable;
before(async () => {
  const [port] = (await freePorts(4)).slice(-1);
  await venue.open({
    behind: async (http) => {
      cable = await Cable.lay(port, http);
      return `http://localhost:${port}`;
    },
  });
});
afterEach(() => venue.clear());
after(async () => {
  await venue.close();
  await cable.close();
});

test("a lost socket is resumed, and neither picture nor connection notices", async (t) => {
  const [alice, bob] = await calling();
  // when
  cable.cut();
  // then
  await Promise.all([alice, bob].map((it) => it.until(() => window.watched.toasts.includes("You are connected again"))));
  await alice.page.keyboard.press("m");
  await bob.looks("Alice", { muted: true });
  await alice.say("Still there?");
  await bob.hears("Alice", "Still there?");
  await nobodyLeft(t, alice, bob);
});

test("while the server is out of reach, the call and the chat go on", async (t) => {
  const [alice, bob] = await calling();
  // They ask the server why their sockets do not open, as long as it cannot be heard.
  for (const guest of [alice, bob]) guest.expect(/ERR_\w+ .*\/api\/v1\/door$/);
  // when
  cable.unplug();
  // then
  await Promise.all([alice, bob].map((it) => it.until(() => document.getElementById("banner").innerText === "Reconnecting…")));
  await Promise.all([alice.sees(1), bob.sees(1)]);
  await alice.say("Can you hear me?");
  await bob.hears("Alice", "Can you hear me?");
  await bob.page.keyboard.press("m");
  // when
  cable.plug();
  // then: what happened meanwhile is made up for
  await alice.looks("Bob", { muted: true });
  await nobodyLeft(t, alice, bob);
});

test("a server that is killed and started again in the middle of a relayed call has everybody back within ten seconds", async (t) => {
  const [alice, bob] = await calling();
  await Promise.all([alice.onlyRelay(), bob.onlyRelay()]);
  await Promise.all([alice.sees(1), bob.sees(1)]);
  // when
  await venue.hairpin.kill();
  await venue.serve();
  const served = Date.now();
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
  const took = Date.now() - served;
  t.diagnostic(`pictures are back after ${took} ms`);
  assert.ok(took < 10_000);
  for (const guest of [alice, bob]) {
    const [{ local, remote }] = await guest.pairs();
    assert.deepEqual([local, remote], ["relay", "relay"]);
    // Rooms die with the daemon: who is back first opens this one again.
    assert.deepEqual(news(await guest.watched()).filter((it) => it !== "You are the host now"), ["You are connected again"]);
  }
});

/** Two people in a call, who may lose the server. */
async function calling() {
  const [alice, bob] = await venue.call("Alice", "Bob");
  for (const guest of [alice, bob]) {
    guest.expect(UNREACHABLE);
    await guest.page.evaluate(() => {
      window.watched.gap = 0;
      window.watched.toasts.length = 0;
      document.querySelector("#stage .tile:not(.self)").isThatOfBefore = true;
    });
  }
  return [alice, bob];
}

/** @param {import("node:test").TestContext} t @param {...import("./support/guest.js").Guest} guests */
async function nobodyLeft(t, ...guests) {
  for (const guest of guests) {
    await guest.sees(1);
    const watched = await guest.watched();
    t.diagnostic(`the longest time without a picture was ${Math.round(watched.gap)} ms`);
    assert.ok(watched.gap < GAP_LIMIT);
    assert.equal(watched.connected.length, 1);
    assert.deepEqual(news(watched), ["You are connected again"]);
    assert.ok(await guest.page.$eval("#stage .tile:not(.self)", (tile) => tile.isThatOfBefore));
  }
}

/** What was said in passing, but for what others wrote. */
function news({ toasts }) {
  return toasts.filter((toast) => !/^(Alice|Bob): /.test(toast));
}
