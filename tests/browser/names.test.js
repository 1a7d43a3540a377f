/** A browser that cannot look up the relay's name. */

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Check } from "./support/check.js";
import { freePorts, onLoopback } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";

const NOWHERE = "nowhere.invalid";

/** @type {Hairpin} */
let hairpin;
/** @type {import("puppeteer-core").Browser} */
let browser;
let [http, turn] = [0, 0];
let origin = "";

before(async () => {
  [http, turn] = await freePorts(2);
  origin = `http://localhost:${http}`;
  browser = await launchChromium();
});

afterEach(() => hairpin.stop());
after(() => browser.close());

/** What the server gives by itself: the name, and beside it the address of this machine. Nobody is given loopback. */
function byItself() {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  const address = all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  return address && onLoopback({ http, turn, at: address, ice: `ice_host = "${NOWHERE}"` });
}

/** An operator states the address among the others. */
function asStated() {
  const urls = [NOWHERE, "127.0.0.1"].map((host) => `"turn:${host}:${turn}?transport=udp"`);
  return onLoopback({ http, turn, ice: `ice_urls = [${urls}]` });
}

for (const [whose, config, tcp] of /** @type {const} */ ([["that the server gives by itself", byItself, "literal"], ["that the operator states", asStated, "missing"]])) {
  test(`two people who use the relay alone meet through it, by the address ${whose}, and the check says so`, async (t) => {
    // given
    const toml = config();
    if (!toml) return t.skip("this machine has no address but loopback");
    hairpin = await Hairpin.start(toml);
    const prepare = () => {
      try {
        localStorage.setItem("relay-only", "yes");
      } catch {} // about:blank has no storage
    };
    // when
    const people = [];
    for (const name of ["Alice", "Bob"]) people.push(await Guest.at(browser, `${origin}/r/names`, { name, prepare }));
    for (const guest of people) await (await guest.isReady()).enter();
    for (const guest of people) await guest.sees(1);
    // then
    const pairs = await people[0].pairs();
    assert.deepEqual(pairs.map(({ local, remote }) => [local, remote]), [["relay", "relay"]]);
    for (const guest of people) await guest.close();
    const check = await Check.at(browser, `${origin}/check`);
    const { ways, loop } = await check.verdict();
    assert.deepEqual([ways.udp, ways.tcp.split(".")[0], loop], ["literal", tcp, "loop.done"]);
    await check.close();
  });
}
