/** What is said in passing, and where it stands. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const SMALL = { viewport: { width: 480, height: 360 } };

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("what happens to several people is said in one sentence, and in a dialog that is open, where it is seen and heard", async () => {
  const [alice, ...others] = await venue.call("Alice", { name: "Bob", ...SMALL }, { name: "Carol", ...SMALL });
  await alice.click("#invite");
  // when
  for (const guest of others) await guest.click("#leave");
  // then
  await alice.until(() => [...document.querySelectorAll("dialog[open] .toast")].some((it) => /^(Bob and Carol|Carol and Bob) have left$/.test(it.textContent)));
  // when
  await alice.click("#invite-close");
  // then
  await alice.until(() => document.getElementById("toasts").parentElement === document.body);
});

test("notices stand in the bar on top, above the stage and the panel, however long a name is", async () => {
  const name = "W".repeat(60);
  const [alice, bob] = await venue.call("Alice", { name, ...SMALL });
  await alice.click("#open-people");
  // when
  await bob.click("#leave");
  // then
  await alice.until(() => document.querySelector(".toast")?.textContent.includes("WWW"));
  const { notice, stage, width } = await alice.page.evaluate(() => ({
    notice: document.querySelector(".toast").getBoundingClientRect().toJSON(),
    stage: document.getElementById("stage").getBoundingClientRect().toJSON(),
    width: innerWidth,
  }));
  assert.ok(notice.left >= 0 && notice.right <= width, JSON.stringify(notice));
  assert.ok(notice.top < stage.top && notice.bottom <= stage.top + 20, JSON.stringify([notice, stage]));
});

test("the button that copies says that it has, and where that is not allowed the whole link is selected", async () => {
  const [alice] = await venue.call("Alice");
  const link = alice.page.url();
  await alice.page.evaluate(() => (navigator.clipboard.writeText = async (text) => void (window.copied = text)));
  await alice.click("#alone-link .primary");
  await alice.until(() => document.querySelector("#alone-link .primary").innerText === "Copied");
  assert.equal(await alice.page.evaluate(() => window.copied), link);
  await alice.until(() => document.querySelector("#alone-link .primary").innerText === "Copy link");
  // when
  await alice.page.evaluate(() => (navigator.clipboard.writeText = async () => Promise.reject(new Error("as pretended"))));
  await alice.click("#alone-link .primary");
  // then
  await alice.until((link) => getSelection().toString() === link, link);
});
