/** What the README says, as somebody does it who has only just found it: start the daemon, open a page, send the link. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { launchChromium } from "./support/browser.js";
import { atHome } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { inside, Machine } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const [, COMMAND] = README.match(/```sh\n(.*?) *#/);
const [, PAGE] = README.match(/open <(.*?)>/);
const LOOK = fileURLToPath(new URL("support/look.js", import.meta.url));

const leftovers = new Leftovers();
afterEach(() => leftovers.clear());

test("after the first command, two windows at the first link see each other", async () => {
  const { namespace } = await firstCommand({ addresses: ["10.0.0.5/24"] });
  const browser = await launchChromium({ namespace });
  leftovers.add(() => browser.close());
  // when
  const alice = await Guest.with(browser);
  leftovers.add(() => alice.close());
  await alice.page.goto(PAGE);
  await alice.click("#new");
  await alice.page.waitForNavigation();
  await alice.enter();
  const bob = await Guest.at(browser, alice.page.url(), { name: "Bob" });
  leftovers.add(() => bob.close());
  await bob.enter();
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

/** Without a certificate there is no TLS, and the verdict says so. */
const GREEN = { rooms: "ok.rooms", udp: "ok.udp", tcp: "ok.tcp", tls: "missing.tls" };
/** Browsers differ in whether they call a public address that is the machine's own another one. */
const NEAR = ["ok.stun", "no_nat.stun"];

/** @type {[string, ConstructorParameters<typeof Machine>[0]][]} */
const MACHINES = [
  ["that has a private address alone", { addresses: ["10.0.0.5/24", "fd00::5/64"] }],
  ["without IPv6", { addresses: ["192.168.1.5/24"], ipv6: false }],
  ["with public addresses", { addresses: ["198.51.100.5/24", "2001:db8:5::5/64"] }],
];
for (const [what, machine] of MACHINES) {
  for (const browser of ["chromium", "firefox"]) {
    test(`after the first command, all is well in ${browser} on a machine ${what}`, async () => {
      const { namespace } = await firstCommand(machine);
      assertGreen(await look(namespace, browser));
    });
  }
}

test("a server that listens on loopback alone is reached by Chromium, and Firefox says why not by itself", async () => {
  const { namespace } = await serve({ addresses: ["10.0.0.5/24"] }, atHome());
  assertGreen(await look(namespace, "chromium"));
  const { summary, ways } = await look(namespace, "firefox");
  assert.equal(summary, "summary.direct");
  assert.deepEqual(ways, { ...GREEN, stun: "loopback", udp: "loopback", tcp: "loopback" });
});

test("on a machine that has loopback alone, the first command says what to write, and the page that browsers look no further", async () => {
  const { hairpin } = await firstCommand({});
  assert.match(hairpin.log, /connect it to a network first, or name relay.addresses; \["127.0.0.1"\] will do/);
  const { namespace } = await serve({}, atHome());
  for (const browser of ["chromium", "firefox"]) {
    const { ways } = await look(namespace, browser);
    assert.deepEqual(ways, { ...GREEN, stun: "loopback", udp: "loopback", tcp: "loopback" }, browser);
  }
});

/** A machine on which nothing else has these ports, and on which somebody has done what the README says first. */
function firstCommand(machine) {
  assert.equal(COMMAND, "cargo run --release", "which builds the daemon and starts it with no argument");
  return serve(machine, null);
}

/** @param {ConstructorParameters<typeof Machine>[0]} options @param {string | null} config */
async function serve(options, config) {
  const machine = new Machine(options);
  leftovers.add(() => machine.down());
  const hairpin = await Hairpin.start(config, machine.namespace);
  leftovers.add(() => hairpin.stop());
  return { namespace: machine.namespace, hairpin };
}

/** What the check page says in a browser as everybody has it. @param {string} namespace @param {string} browser */
async function look(namespace, browser) {
  const [program, ...words] = [...inside(namespace), process.execPath, LOOK, browser, `${PAGE}/check`];
  const { stdout } = await promisify(execFile)(program, words);
  return JSON.parse(stdout);
}

/** @param {Awaited<ReturnType<typeof look>>} verdict */
function assertGreen({ mood, summary, ways: { stun, ...ways }, loop }) {
  assert.deepEqual({ mood, summary, ways, loop }, { mood: "good", summary: "summary.no_tls", ways: GREEN, loop: "loop.done" });
  assert.ok(NEAR.includes(stun), stun);
}
