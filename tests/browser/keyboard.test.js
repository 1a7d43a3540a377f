/** A whole call without a pointer: from the start page to the end, every step is reached with Tab and done with a key. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

/** More than anything is away from anything else. */
const STEPS = 60;

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("a call is begun, held and left with the keyboard alone", async () => {
  const alice = await venue.visitor();
  const { page } = alice;
  const { keyboard } = page;
  await page.goto(`${venue.origin}/`);
  await alice.until(() => !document.querySelector(".is-asking"));
  // the start
  await tabTo(page, "#new");
  await keyboard.press("Enter");
  await page.waitForSelector("#enter:not(:disabled)");
  // the lobby
  await tabTo(page, "#name");
  await keyboard.down("Control");
  await keyboard.press("a");
  await keyboard.up("Control");
  await keyboard.type("Alice");
  await keyboard.press("Enter");
  await alice.until(() => !document.getElementById("call").hidden);
  const bob = await venue.guest(page.url(), { name: "Bob", viewport: { width: 480, height: 360 } });
  await (await bob.isReady()).enter();
  await bob.sees(1);
  // the devices
  await tabTo(page, "#mic");
  await keyboard.press("Enter");
  await bob.looks("Alice", { muted: true });
  // a message
  await tabTo(page, "#open-chat");
  await keyboard.press("Enter");
  await alice.until(() => document.activeElement.id === "message");
  await keyboard.type("By keys alone");
  await keyboard.press("Enter");
  await bob.hears("Alice", "By keys alone");
  // the sheets and back
  await tabTo(page, "#tab-chat", true);
  await keyboard.press("ArrowRight");
  await keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "open-people");
  // the link
  await tabTo(page, "#invite");
  await keyboard.press("Enter");
  await alice.until(() => document.getElementById("invite-dialog").open);
  await keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "invite");
  // the screen, and a tile
  await keyboard.press("s");
  await tabTo(page, ".sharing button");
  await keyboard.press("Enter");
  await alice.until(() => !document.querySelector(".sharing"));
  // the menu
  await tabTo(page, "#more");
  await keyboard.press("Enter");
  await alice.until(() => document.activeElement.role === "menuitem");
  await keyboard.press("Escape");
  // the end
  await tabTo(page, "#leave");
  await keyboard.press("Enter");
  await alice.until(() => document.activeElement.id === "notice-title");
});

/** @param {import("puppeteer-core").Page} page @param {string} selector @param {boolean} [isBack] */
async function tabTo(page, selector, isBack = false) {
  const isThere = () => page.evaluate((selector) => document.activeElement.matches(selector), selector);
  if (isBack) await page.keyboard.down("Shift");
  for (let step = 0; step < STEPS && !(await isThere()); step += 1) await page.keyboard.press("Tab");
  if (isBack) await page.keyboard.up("Shift");
  assert.ok(await isThere(), `Tab does not lead to ${selector}`);
}
