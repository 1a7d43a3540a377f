/** Hands, reactions and new names: who sees them, and who is told. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("H raises a hand, which everybody sees and is told of, and which the host may lower", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  // when
  await bob.page.keyboard.press("h");
  // then
  await alice.until(() => document.querySelector(".toast")?.innerText === "Bob has raised a hand");
  for (const guest of [alice, bob]) await guest.until(() => [...document.querySelectorAll(".plate .hand:not([hidden])")].length === 1);
  await alice.click("#open-people");
  assert.deepEqual(await alice.page.$$eval("#people-list .whom p:first-child", (all) => all.map((it) => it.innerText)), ["Bob", "Alice (you)"]);
  // when
  await alice.click(".host-only button");
  await alice.page.waitForSelector(".menu button");
  await alice.page.$$eval(".menu button", (all) => all.find((it) => it.innerText === "Lower Bob’s hand").click());
  // then
  await bob.until(() => document.querySelector(".toast")?.innerText === "The host has lowered your hand");
  for (const guest of [alice, bob]) await guest.until(() => document.querySelectorAll(".plate .hand:not([hidden])").length === 0);
});

test("who changes their name in the call has the new one everywhere, and everybody is told", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await bob.click("#open-people");
  // when
  await bob.click("[aria-label='Change your name']");
  await bob.page.waitForSelector(".ask input");
  await bob.page.$eval(".ask input", (it) => (it.value = " Robert\u200B "));
  await bob.click(".ask .primary");
  // then
  await alice.until(() => window.watched.toasts.includes("Bob is now called Robert"));
  await alice.until(() => document.querySelector(".tile:not(.self) .who").innerText === "Robert");
  await bob.until(() => document.querySelector(".tile.self .who").innerText === "Robert (you)");
  assert.equal(await bob.page.evaluate(() => localStorage.getItem("name")), "Robert");
});

test("a reaction floats over the picture of whoever reacts, and is read aloud", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await bob.click("#react");
  // when
  await bob.click("#gestures [aria-label='Applause']");
  // then
  await bob.until(() => document.querySelector(".tile.self .reaction")?.textContent === "👏");
  await alice.until(() => document.querySelector(".tile:not(.self) .reaction")?.textContent === "👏");
  await alice.until(() => document.getElementById("spoken").textContent === "Bob: Applause.");
  await alice.until(() => !document.querySelector(".reaction"));
});
