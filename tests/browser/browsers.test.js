/** Firefox and Chromium, and two of Firefox, understand each other. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchChromium, launchFirefox } from "./support/browser.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
let chromium;
let firefox;
before(async () => {
  await venue.open({ launch: launchFirefox });
  firefox = venue.browser;
  chromium = await venue.launch(launchChromium);
});
afterEach(() => venue.clear());
after(() => venue.close());

test("Firefox comes to Chromium", () => meet({ name: "Alice", browser: chromium }, { name: "Bob", browser: firefox }));
test("Chromium comes to Firefox", () => meet({ name: "Alice", browser: firefox }, { name: "Bob", browser: chromium }));
test("Firefox comes to Firefox", () => meet({ name: "Alice", browser: firefox }, { name: "Bob", browser: firefox }));

test("Firefox and Chromium also meet through the relay alone", async () => {
  const [alice, bob] = await venue.call({ name: "Alice", browser: chromium }, { name: "Bob", browser: firefox });
  await Promise.all([alice.onlyRelay(), bob.onlyRelay()]);
  await Promise.all([alice.sees(1), bob.sees(1)]);
  for (const guest of [alice, bob]) {
    const { local } = await guest.way();
    assert.equal(local, "relay");
  }
});

/** They see each other, know how they are connected, and write to each other. */
async function meet(...people) {
  const [alice, bob] = await venue.call(...people);
  // Firefox may well stay on the first way that it finds, a relayed one too.
  for (const guest of [alice, bob]) await guest.way();
  await alice.say("Hello, Bob");
  await bob.hears("Alice", "Hello, Bob");
  await bob.say("Hello, Alice");
  await alice.hears("Bob", "Hello, Alice");
}
