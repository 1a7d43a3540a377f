/** Eight people in one room, each of whom shows the others no address: all of it goes through the relay. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { everyWay } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { Machine } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const NAME = "turn.eight.test";
const EIGHT = [..."ABCDEFGH"];
/** One machine does it all. */
const PATIENCE = 120_000;

const leftovers = new Leftovers();
let browser;
before(async () => {
  const machine = new Machine({ addresses: ["10.0.0.5/24", "2001:db8:5::5/64"], name: NAME });
  leftovers.add(() => machine.down());
  const hairpin = await Hairpin.start(everyWay(NAME, "[rooms]\ncapacity = 8"), machine.namespace);
  leftovers.add(() => hairpin.stop());
  browser = await launchChromium({ namespace: machine.namespace });
  leftovers.add(() => browser.close());
});
after(() => leftovers.clear());

test("eight people who use the relay alone, over both families and every way to it, are all connected", { timeout: 300_000 }, async (t) => {
  const begun = Date.now();
  const people = [];
  for (const name of EIGHT) {
    const guest = await Guest.at(browser, "http://localhost:8080/r/eight", { name, viewport: { width: 400, height: 300 }, prepare: useRelayAlone });
    guest.page.setDefaultTimeout(PATIENCE);
    people.push(guest);
  }
  try {
    // when: in a hurry, as at the beginning of a lesson
    await Promise.all(people.map((guest) => guest.enter()));
    // then
    await Promise.all(people.map((guest) => guest.until(isConnectedWith, EIGHT.length - 1)));
    t.diagnostic(`connected after ${Date.now() - begun} ms`);
    for (const guest of people) {
      const pairs = await guest.pairs();
      assert.deepEqual(pairs.map(({ state, local, remote }) => [state, local, remote]), Array(7).fill(["connected", "relay", "relay"]));
    }
    const ways = await Promise.all(people.map((guest) => guest.page.evaluate(relayedBy)));
    // UDP in each family, TCP, and TLS; but for those that Chromium gives up as it is connected.
    const all = ways.flat(2);
    t.diagnostic(`${all.length} allocations`);
    assert.deepEqual([...new Set(all)].sort(), ["tcp", "tls", "udp"]);
    assert.ok(ways.flat().some((one) => one.filter((way) => way === "udp").length === 2), "over both families");
    // when: what each of them says goes over seven channels
    for (const guest of people) await guest.say(`${await guest.text(".tile.self .who")} is here`);
    // then
    for (const [i, guest] of people.entries()) {
      for (const name of EIGHT.filter((_, other) => other !== i)) await guest.hears(name, `${name} (you) is here`);
    }
  } finally {
    for (const guest of people) await guest.close();
  }
});

/* From here on, what runs inside the page. */

/** Before the page's first script. Nobody has a camera: what 56 pictures take is not the relay's matter. */
function useRelayAlone() {
  try {
    localStorage.setItem("relay-only", "yes");
  } catch {} // about:blank has no storage
  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = async function (wish) {
    // Whoever has allowed the microphone once is known by all addresses of the machine.
    for (const track of (await getUserMedia.call(this, wish)).getTracks()) track.stop();
    throw new DOMException("", "NotFoundError");
  };
}

/** By which ways each connection has an address at the relay. */
function relayedBy() {
  return Promise.all(window.watched.connections.map(async (pc) => {
    const all = [...(await pc.getStats()).values()].filter((it) => it.type === "local-candidate" && it.candidateType === "relay");
    return all.map(({ relayProtocol }) => relayProtocol).sort();
  }));
}

/** With so many others. @param {number} count */
function isConnectedWith(count) {
  const live = window.watched.connections.filter((pc) => pc.connectionState !== "closed");
  return live.length === count && live.every((pc) => pc.connectionState === "connected");
}
