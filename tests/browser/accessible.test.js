/** Every page, in either language and either theme, can be used by those who do not see or point: as far as axe-core can tell. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";

import { axeFile } from "./support/packages.js";
import { Venue } from "./support/venue.js";

const axe = readFileSync(axeFile, "utf8");
const SHEETS = ["chat", "people", "connection", "settings"];

const venue = new Venue();
before(() => venue.open({ tls: true }));
afterEach(() => venue.clear());
after(() => venue.close());

for (const language of ["en", "ko"]) {
  for (const theme of /** @type {const} */ (["light", "dark"])) {
    test(`nothing keeps anybody out in ${language}, ${theme}`, async () => {
      const visitor = await venue.visitor({ language, theme });
      await visitor.page.goto(`${venue.origin}/`);
      await isAccessible(visitor, "the start");
      await visitor.page.$eval("details", (details) => (details.open = true));
      await isAccessible(visitor, "the start, for developers");
      visitor.expect(/status of 404/);
      await visitor.page.goto(`${venue.origin}/nowhere`);
      await isAccessible(visitor, "an address that leads nowhere");

      await visitor.page.goto(`${venue.origin}/check`);
      await isAccessible(visitor, "the check");
      await visitor.until(() => document.getElementById("summary").dataset.mood);
      await isAccessible(visitor, "the check when it is done");

      const [alice, bob] = await Promise.all(["Alice", "Bob"].map((name) => venue.guest(`${venue.origin}/r/${language} ${theme}`, { name, language, theme })));
      await alice.isReady();
      await isAccessible(alice, "the lobby");
      await alice.enter();
      await isAccessible(alice, "a call alone");
      await bob.enter();
      await alice.sees(1);
      for (const sheet of SHEETS) {
        await alice.click(`#open-${sheet}`);
        await isAccessible(alice, `the call with ${sheet}`);
      }
      await alice.page.keyboard.press("Escape");
      await alice.click("#invite");
      await isAccessible(alice, "an invitation");
      await alice.click("#invite-close");
      await bob.say("Hello");
      await alice.click("#leave");
      await isAccessible(alice, "after the call");
    });
  }
}

/** @param {import("./support/visitor.js").Visitor} visitor @param {string} where */
async function isAccessible(visitor, where) {
  const found = await visitor.page.evaluate(check, axe);
  assert.deepEqual(found, [], where);
}

/** Runs inside the page, whose policy allows no other script there. */
async function check(source) {
  // Moving things are looked at where they come to rest.
  document.getAnimations().forEach((it) => it.effect?.getComputedTiming().endTime === Infinity || it.finish());
  if (!window.axe) (0, eval)(source);
  const { violations } = await window.axe.run({ resultTypes: ["violations"] });
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => ({ id, html, failureSummary })));
}
