/** What somebody sees who waits to be let in. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open({ rooms: "knock = true" }));
afterEach(() => venue.clear());
after(() => venue.close());

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
