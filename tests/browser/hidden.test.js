/** A call behind another tab: Chromium asks for the small window by itself, over TLS and where the camera is really asked for. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
let asking;
before(async () => {
  await venue.open({ tls: true, behind: async (_, tls) => `https://localhost:${tls}` });
  // A camera that is only pretended to be allowed does not count as one that is used.
  asking = await venue.launch(() => launchChromium({ devices: ["--use-fake-device-for-media-stream=fps=10"] }));
  await asking.defaultBrowserContext().overridePermissions(venue.origin, ["camera", "microphone"]);
});
afterEach(() => venue.clear());
after(() => venue.close());

test("a call that is left for another tab goes on in a small window, which is gone when one is back", async () => {
  const room = venue.room();
  const bob = await venue.guest(room, { name: "Bob" });
  // Nobody is asked in a private window.
  const alice = await venue.guest(room, { name: "Alice", browser: asking, isMain: true });
  for (const guest of [bob, alice]) await (await guest.isReady()).enter();
  for (const guest of [bob, alice]) await guest.sees(1);
  // when
  const other = await alice.context.newPage();
  await other.bringToFront();
  // then
  await alice.until(() => document.hidden && window.documentPictureInPicture.window?.document.querySelector("video")?.videoWidth > 0);
  assert.equal(await alice.page.evaluate(() => window.documentPictureInPicture.window.document.querySelector(".who").textContent), "Bob");
  await bob.sees(1);
  // when
  await alice.page.bringToFront();
  // then
  await alice.until(() => !document.hidden && !window.documentPictureInPicture.window);
  await other.close();
});
