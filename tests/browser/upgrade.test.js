/** Whoever began a call without UDP gets it as soon as the network lets it through; whoever never has it notices nothing. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { onVps } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { Lab, SERVER_NAME } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const ROOM = `https://${SERVER_NAME}/r/upgrade`;
/** One restart after 20 seconds, and the browser's own search. */
const PATIENCE = 60_000;
const NO_UDP = "table inet blocked { chain out { type filter hook output priority 0; meta l4proto udp drop; }; }";

const leftovers = new Leftovers();
afterEach(() => leftovers.clear());

test("a call that began over TCP goes over UDP once the network lets it through", { timeout: 180_000 }, async (t) => {
  const { lab, alice, bob } = await call("open", "open", { blocked: true });
  assert.notEqual((await alice.way()).transport, "udp");
  // when
  for (const host of ["hostA", "hostB"]) lab.firewall(host, "delete table inet blocked");
  await forget(alice, bob);
  await Promise.all([alice, bob].map((guest) => guest.until(goesOver, "udp")));
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
  t.diagnostic(`the longest time without a new picture: ${await gaps(alice, bob)}`);
});

test("where UDP never passes, the picture goes on while it is tried once more", { timeout: 180_000 }, async (t) => {
  const { alice, bob } = await call("noudp", "noudp");
  await forget(alice, bob);
  // when
  await Promise.any([alice, bob].map((guest) => guest.until(isRestarted)));
  await Promise.all([alice, bob].map((guest) => guest.until(isSettled)));
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
  for (const guest of [alice, bob]) assert.notEqual((await guest.way()).transport, "udp");
  t.diagnostic(`the longest time without a new picture: ${await gaps(alice, bob)}`);
});

/** @param {import("./support/lab.js").Kind} a @param {import("./support/lab.js").Kind} b @param {{ blocked?: boolean }} [options]  `blocked`: no UDP for now */
async function call(a, b, { blocked = false } = {}) {
  const lab = new Lab(a, b);
  leftovers.add(() => lab.down());
  const hairpin = await Hairpin.start(onVps(lab), Lab.namespace("srv"));
  leftovers.add(() => hairpin.stop());
  if (blocked) for (const host of ["hostA", "hostB"]) lab.firewall(host, NO_UDP);
  const [alice, bob] = await Promise.all([["hostA", "Alice"], ["hostB", "Bob"]].map(async ([host, name]) => {
    const browser = await launchChromium({ namespace: Lab.namespace(host) });
    leftovers.add(() => browser.close());
    const guest = await Guest.at(browser, ROOM, { name, prepare: useRelayAlone });
    leftovers.add(() => guest.close());
    guest.page.setDefaultTimeout(PATIENCE);
    return guest.isReady();
  }));
  await alice.enter();
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
  return { lab, alice, bob };
}

/** @param {...Guest} guests */
function forget(...guests) {
  return Promise.all(guests.map((guest) => guest.page.evaluate(() => (window.watched.gap = 0))));
}

/** @param {...Guest} guests */
async function gaps(...guests) {
  const all = await Promise.all(guests.map((guest) => guest.watched()));
  return all.map(({ gap }) => `${Math.round(gap)} ms`).join(" and ");
}

/* From here on, what runs inside the page. */

/** Before the page's first script. */
function useRelayAlone() {
  try {
    localStorage.setItem("relay-only", "yes");
  } catch {} // about:blank has no storage
}

/** @param {string} transport  to the relay */
async function goesOver(transport) {
  const all = [...(await window.watched.connections.at(-1).getStats()).values()];
  const { selectedCandidatePairId } = all.find((it) => it.type === "transport");
  const { localCandidateId } = all.find(({ id }) => id === selectedCandidatePairId);
  return all.find(({ id }) => id === localCandidateId).relayProtocol === transport;
}

/** Whether this side has offered new credentials of ICE. */
function isRestarted() {
  const pc = window.watched.connections.at(-1);
  const ufrag = /a=ice-ufrag:(\S+)/.exec(pc.localDescription.sdp)[1];
  window.ufrag ??= ufrag;
  return window.ufrag !== ufrag;
}

function isSettled() {
  const pc = window.watched.connections.at(-1);
  return pc.connectionState === "connected" && pc.signalingState === "stable" && pc.iceGatheringState === "complete";
}
