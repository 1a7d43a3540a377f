/** The check page names what works and what does not, from behind each kind of NAT, within the 15 seconds that it promises. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Check } from "./support/check.js";
import { freePorts, onLoopback, onVps } from "./support/config.js";
import { Hairpin } from "./support/hairpin.js";
import { Lab, SERVER_NAME } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const URL = `https://${SERVER_NAME}/check`;
const PROMISED = 15;

const leftovers = new Leftovers();
afterEach(() => leftovers.clear());

const ALL = { rooms: "ok.rooms", stun: "ok.stun", udp: "ok.udp", tcp: "ok.tcp", tls: "ok.tls" };
const NO_UDP = { ...ALL, stun: "silent.stun", udp: "silent.udp" };

/** @type {[string, import("./support/lab.js").Kind, { ways: object, summary: string, over?: string, firewall?: string, prepare?: () => void }][]} */
const CASES = [
  ["no NAT", "open", { ways: { ...ALL, stun: "no_nat.stun" }, summary: "good", over: "UDP" }],
  ["a cone", "cone", { ways: ALL, summary: "good", over: "UDP" }],
  ["a symmetric NAT", "symmetric", { ways: ALL, summary: "good", over: "UDP" }],
  ["a network without UDP", "noudp", { ways: NO_UDP, summary: "relay", over: "TCP|TLS" }],
  ["a network with port 443 alone", "tls443", { ways: { ...NO_UDP, tcp: "silent.tcp" }, summary: "relay", over: "TLS" }],
  [
    "a server that does not accept the credential",
    "cone",
    { ways: { ...ALL, udp: "credential", tcp: "credential", tls: "credential" }, summary: "direct", prepare: spoil },
  ],
  [
    "a closed port",
    "cone",
    { ways: { ...NO_UDP, tcp: "refused.tcp" }, summary: "relay", over: "TLS", firewall: "tcp dport 3478 reject with tcp reset; udp dport 3478 reject" },
  ],
  [
    "a port that swallows everything",
    "cone",
    { ways: { ...NO_UDP, tcp: "silent.tcp" }, summary: "relay", over: "TLS", firewall: "meta l4proto { tcp, udp } th dport 3478 drop" },
  ],
];

for (const [what, kind, { ways, summary, over, firewall, prepare }] of CASES) {
  test(`behind ${what}`, async (t) => {
    // given
    const check = await visit(kind, { firewall, prepare });
    // when
    const verdict = await check.verdict();
    // then
    t.diagnostic(`${verdict.seconds.toFixed(1)} s: ${verdict.figures.join(", ")}`);
    assert.deepEqual(verdict.ways, ways);
    assert.equal(verdict.summary, `summary.${summary}`);
    assert.equal(verdict.loop, over ? "loop.done" : "loop.none");
    assert.match(await check.text("#loop-text"), new RegExp(over ? `over (${over})` : "nothing to measure"));
    assert.ok(verdict.seconds < PROMISED, `it took ${verdict.seconds} s`);
  });
}

test("a throughput that is the server's own limit is not said to be the network's", async () => {
  const [http, turn] = await freePorts(2);
  for (const [limit, label, figure] of /** @type {const} */ ([["500000", "Throughput (the server’s limit)", /^≥ (4\d\d|500) kbit\/s$/], ["100000000000", "Throughput", /^≥ \d/]])) {
    const hairpin = await Hairpin.start(onLoopback({ http, turn, more: `[limits]\nbits_per_second = ${limit}` }));
    leftovers.add(() => hairpin.stop());
    const browser = await launchChromium();
    leftovers.add(() => browser.close());
    const check = await Check.at(browser, `http://localhost:${http}/check`);
    leftovers.add(() => check.close());
    const { figures } = await check.verdict();
    assert.equal(await check.text("#figures > :last-child dt"), label);
    assert.match(figures.at(-1), figure);
    await leftovers.clear();
  }
});

/** A browser behind a NAT of this kind, on the check page of a daemon behind this firewall. */
async function visit(kind, { firewall, prepare }) {
  const lab = new Lab(kind, "open");
  leftovers.add(() => lab.down());
  if (firewall) lab.firewall("srv", `table inet f { chain arriving { type filter hook input priority 0; ${firewall}; }; }`);
  const hairpin = await Hairpin.start(onVps(lab), Lab.namespace("srv"));
  leftovers.add(() => hairpin.stop());
  const browser = await launchChromium({ namespace: Lab.namespace("hostA") });
  leftovers.add(() => browser.close());
  const check = await Check.at(browser, URL, { prepare });
  leftovers.add(() => check.close());
  return check;
}

/** As if the relay had another secret than whoever made the credentials; runs inside the page. */
function spoil() {
  const ask = window.fetch.bind(window);
  window.fetch = async (...words) => {
    const ice = await (await ask(...words)).json();
    for (const server of ice.iceServers) if (server.credential) server.credential = "d3Jvbmc=";
    return Response.json(ice);
  };
}
