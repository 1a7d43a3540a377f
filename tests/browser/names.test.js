/** A browser that cannot look up the relay's name. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Check } from "./support/check.js";
import { freePorts, onLoopback } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";

/** @type {Hairpin} */
let hairpin;
/** @type {import("puppeteer-core").Browser} */
let browser;
let origin = "";

before(async () => {
  const [http, turn] = await freePorts(2);
  origin = `http://localhost:${http}`;
  const urls = ["nowhere.invalid", "127.0.0.1"].map((host) => `"turn:${host}:${turn}?transport=udp"`);
  hairpin = await Hairpin.start(onLoopback({ http, turn, ice: `ice_urls = [${urls}]` }));
  browser = await launchChromium();
});

after(async () => {
  await browser.close();
  await hairpin.stop();
});

test("two people who use the relay alone meet through it, by its address", async () => {
  const prepare = () => {
    try {
      localStorage.setItem("relay-only", "yes");
    } catch {} // about:blank has no storage
  };
  const people = [];
  for (const name of ["Alice", "Bob"]) people.push(await Guest.at(browser, `${origin}/r/names`, { name, prepare }));
  for (const guest of people) await (await guest.isReady()).enter();
  for (const guest of people) await guest.sees(1);
  const pairs = await people[0].pairs();
  assert.deepEqual(pairs.map(({ local, remote }) => [local, remote]), [["relay", "relay"]]);
  for (const guest of people) await guest.close();
});

test("the check says that the name leads nowhere, and the address does not", async () => {
  const check = await Check.at(browser, `${origin}/check`);
  const { ways, loop, mood } = await check.verdict();
  assert.deepEqual([ways.udp, loop, mood], ["literal", "loop.done", "good"]);
  await check.close();
});
