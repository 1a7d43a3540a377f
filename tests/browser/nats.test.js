/** Two people, each behind a NAT of some kind, meet in a room: whatever the NATs, they see each other. */

import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { launchChromium } from "./support/browser.js";
import { onVps } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { Lab, SERVER_NAME } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const KINDS = ["open", "cone", "symmetric", "noudp", "tls443"];
const PAIRS = KINDS.flatMap((a, i) => KINDS.slice(i).map((b) => [a, b]));
const ROOM = `https://${SERVER_NAME}/r/meeting`;

const leftovers = new Leftovers();
const table = [];

afterEach(() => leftovers.clear());
after(() => {
  console.table(table);
  const relayed = table.map((row) => row["relay only"]).join();
  if (table.length === PAIRS.length) assert.match(relayed, /udp – relay\/udp/, "nobody reached the relay over UDP");
});

for (const [a, b] of PAIRS) {
  test(`${a} and ${b} ${isDirect(a, b) ? "connect directly" : "connect through the relay"}`, async () => {
    const [alice, bob] = await meeting(a, b);
    // when
    await alice.enter();
    await bob.enter();
    await Promise.all([alice.sees(1), bob.sees(1)]);
    // then
    const ways = await Promise.all([alice.way(), bob.way()]);
    const isRelayed = ways.some(({ local, remote }) => local === "relay" || remote === "relay");
    assert.equal(isRelayed, !isDirect(a, b), JSON.stringify(ways));
    assertReachable([a, b], ways);
    const row = { pair: `${a}–${b}`, way: describe(ways), "connected ms": await since("enter", "connected"), "picture ms": await since("enter", "pictured") };

    // when: neither wants to show an address
    await Promise.all([alice.onlyRelay(), bob.onlyRelay()]);
    // then
    const relayed = await Promise.all([alice.way(), bob.way()]);
    assert.deepEqual(relayed.map(({ local, remote }) => [local, remote]), [["relay", "relay"], ["relay", "relay"]]);
    assertReachable([a, b], relayed);
    table.push({ ...row, "relay only": describe(relayed), "connected again ms": await since("relay-only", "connected") });

    /** Until both are so far. */
    async function since(clicked, event) {
      const [one, two] = await Promise.all([alice.watched(), bob.watched()]);
      const begin = Math.max(one.clicked[clicked] ?? 0, two.clicked[clicked]);
      return Math.round(Math.max(one[event].at(-1), two[event].at(-1)) - begin);
    }
  });
}

test("where two packets of a hundred are lost at each NAT, a relayed call holds for a minute", async (t) => {
  const guests = await meeting("symmetric", "symmetric", { loss: 2 });
  for (const guest of guests) await guest.enter();
  for (const guest of guests) await guest.sees(1);
  // when
  const gaps = [];
  for (let second = 0; second < 60; second += 5) {
    await setTimeout(5_000);
    for (const guest of guests) await guest.sees(1);
  }
  // then: on the connections that were there in the beginning
  for (const guest of guests) {
    const { connected, gap } = await guest.watched();
    gaps.push(`${Math.round(gap)} ms`);
    assert.equal(connected.length, 1);
  }
  t.diagnostic(`the longest time without a new picture: ${gaps.join(" and ")}`);
});

/** Two people in the lobby of one room. @returns {Promise<[Guest, Guest]>} */
async function meeting(a, b, { loss } = {}) {
  const lab = new Lab(a, b, { loss });
  leftovers.add(() => lab.down());
  const hairpin = await Hairpin.start(onVps(lab), Lab.namespace("srv"));
  leftovers.add(() => hairpin.stop());
  const [alice, bob] = await Promise.all([["hostA", "Alice"], ["hostB", "Bob"]].map(async ([host, name]) => {
    const browser = await launchChromium({ namespace: Lab.namespace(host) });
    leftovers.add(() => browser.close());
    const guest = await Guest.at(browser, ROOM, { name });
    leftovers.add(() => guest.close());
    return guest.isReady();
  }));
  return [alice, bob];
}

/** Whether two NATs leave a direct way: a port that changes with every destination cannot be foretold. */
function isDirect(a, b) {
  const kinds = [a, b];
  if (kinds.some((kind) => kind === "noudp" || kind === "tls443")) return false;
  return kinds.includes("open") || !kinds.includes("symmetric");
}

/**
 * Each reaches the relay in a way that its network lets through. Which of several is not certain: Chromium stops
 * looking for others once it is connected, so whichever allocation answers first may stay, at times TCP before UDP.
 */
function assertReachable(kinds, ways) {
  for (const [i, { local, transport }] of ways.entries()) {
    if (local !== "relay") continue;
    const open = { noudp: ["tcp", "tls"], tls443: ["tls"] }[kinds[i]] ?? ["udp", "tcp", "tls"];
    assert.ok(open.includes(transport), `${kinds[i]} by ${transport}`);
  }
}

function describe(ways) {
  return ways.map(({ local, transport }) => (transport ? `${local}/${transport}` : local)).join(" – ");
}
