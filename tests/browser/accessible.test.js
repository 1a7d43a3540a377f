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

for (const [language, theme] of /** @type {const} */ ([["en", "light"], ["ko", "dark"]])) {
  test(`nothing keeps anybody out in ${language}, ${theme}`, async () => {
    /** By where they were found. @type {Record<string, object[]>} */
    const barriers = {};
    const look = async (visitor, where) => {
      const found = await visitor.page.evaluate(check, axe);
      if (found.length > 0) barriers[where] = found;
    };
    const visitor = await venue.visitor({ language, theme });
    await visitor.page.goto(`${venue.origin}/`);
    await look(visitor, "the start");
    await visitor.page.$eval("details", (details) => (details.open = true));
    await look(visitor, "the start, for developers");
    visitor.expect(/status of 404/);
    await visitor.page.goto(`${venue.origin}/nowhere`);
    await look(visitor, "an address that leads nowhere");

    await visitor.page.goto(`${venue.origin}/safety`);
    await look(visitor, "the page about safety numbers");
    await visitor.page.goto(`${venue.origin}/check`);
    await look(visitor, "the check");
    await visitor.until(() => document.getElementById("summary").dataset.mood);
    await look(visitor, "the check when it is done");

    const [alice, bob] = await Promise.all(["Alice", "Bob"].map((name) => venue.guest(`${venue.origin}/r/${language} ${theme}`, { name, language, theme })));
    await alice.isReady();
    await look(alice, "the lobby");
    await alice.click("summary");
    await alice.page.$$eval("#lobby-devices > button", (all) => all.at(-1).click());
    await alice.page.waitForSelector(".rehearsal");
    await look(alice, "the lobby, with the devices");
    await alice.enter();
    await look(alice, "a call alone");
    await bob.enter();
    await alice.sees(1);
    await bob.say("Hello");
    for (const sheet of SHEETS) {
      await alice.click(`#open-${sheet}`);
      await look(alice, `the call with ${sheet}`);
    }
    await alice.page.keyboard.press("Escape");
    await alice.page.evaluate(() => document.activeElement.blur());
    await alice.page.keyboard.type("?");
    await alice.page.waitForSelector("dialog.keys[open]");
    await look(alice, "the list of keys");
    await alice.page.keyboard.press("Escape");
    await bob.click("#share");
    await alice.until(() => document.querySelector("#stage .large.screen video")?.videoWidth > 0);
    await look(alice, "a screen that somebody else shares");
    await look(bob, "one's own screen");
    await alice.click("#more");
    await alice.page.waitForSelector(".menu:popover-open");
    await look(alice, "the menu");
    await alice.page.keyboard.press("Escape");
    await bob.page.evaluate(loseCamera);
    await bob.page.waitForSelector(".taken");
    await look(bob, "a camera that is gone");
    await alice.click("#invite");
    await look(alice, "an invitation");
    await alice.click("#invite-close");
    await alice.click("#leave");
    await look(alice, "after the call");
    assert.deepEqual(barriers, {});
  });
}

/** Runs inside the page: the camera is pulled out. */
function loseCamera() {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("as pretended", "NotFoundError"));
  document.querySelector("#stage .self video").srcObject.getVideoTracks()[0].dispatchEvent(new Event("ended"));
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
