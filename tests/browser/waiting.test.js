/** What somebody sees who waits to be let in. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open({ rooms: "knock = true" }));
afterEach(() => venue.clear());
after(() => venue.close());

test("the host is told of those who wait until they are answered, in the title, too", async () => {
  const alice = await venue.guest(venue.room(), { name: "Alice", prepare: forgetSoon });
  await alice.isReady();
  await alice.enter();
  const [bob, carol] = await Promise.all(["Bob", "Carol"].map((name) => venue.guest(alice.page.url(), { name })));
  await bob.knock();
  await alice.until(() => document.querySelector(".toast")?.innerText.startsWith("Bob would like to join"));
  // What is only said in passing comes and goes meanwhile.
  await alice.page.evaluate(async () => (await import(new URL("view/toasts.js", document.querySelector("script[type=module]").src))).toast("toast.back"));
  await alice.until(() => window.watched.toasts.includes("You are connected again") && document.querySelectorAll(".toast").length === 1);
  assert.deepEqual(await waiting(alice), { badge: "1", title: "(1)" });
  // when
  await carol.knock();
  await alice.until(() => document.querySelector(".toast")?.innerText.startsWith("2 people would like to join"));
  await alice.click(".toast button");
  assert.deepEqual(await alice.page.$$eval("#knocks .whom", (all) => all.map((it) => it.innerText)), ["Bob would like to join", "Carol would like to join"]);
  await alice.until(() => !document.querySelector(".toast"));
  await alice.page.$eval("#knocks li:nth-child(2) button", (it) => it.click());
  await carol.until(() => !document.getElementById("call").hidden);
  await alice.click("#panel-close");
  await alice.until(() => document.querySelector(".toast button")?.innerText === "Let in");
  await alice.page.$eval(".toast button:last-child", (it) => it.click());
  // then
  await bob.isTold("You were not let in");
  await alice.until(() => !document.title.startsWith("("));
  assert.equal((await waiting(alice)).badge, "2");
});

test("whoever waits to be let in sees their own picture, and comes in with the camera as they left it", async () => {
  const alice = await venue.alone("Alice");
  const bob = await venue.guest(alice.page.url(), { name: "Bob" });
  await bob.isReady();
  await bob.knock();
  await bob.isTold("Waiting to be let in");
  // then
  await bob.until(() => document.getElementById("preview-video").checkVisibility() && document.getElementById("preview-video").videoWidth > 0);
  // when
  await bob.click("#preview-cam");
  await bob.until(() => document.getElementById("preview-video").srcObject === null);
  await alice.click("#open-people");
  await alice.page.waitForSelector("#knocks li");
  await alice.page.$eval("#knocks button", (it) => it.click());
  // then
  await bob.until(() => !document.getElementById("call").hidden);
  await alice.looks("Bob", { picture: false, muted: false });
  assert.equal(await bob.page.$eval("#preview", (it) => it.hidden), true);
});

/** @param {import("./support/guest.js").Guest} guest */
function waiting(guest) {
  return guest.page.evaluate(() => ({ badge: document.getElementById("count").innerText, title: document.title.split(" ")[0] }));
}

/** Runs in the page: what is shown for seconds is gone in a moment. */
function forgetSoon() {
  const later = window.setTimeout;
  window.setTimeout = (act, ms, ...values) => later(act, ms >= 4000 && ms <= 8000 ? 100 : ms, ...values);
}
