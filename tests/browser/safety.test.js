/** The safety number: the same at both ends, whatever browsers they have, and another one if somebody stands between them. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchFirefox } from "./support/browser.js";
import { standBetween } from "./support/middle.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("two people see the same safety number, also when the connection is built anew", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const [first, second] = await Promise.all([alice.safety(), bob.safety()]);
  assert.deepEqual(first, second);
  assert.match(first.digits, /^(\d{5} ){5}\d{5}$/);
  // when
  await Promise.all([alice.onlyRelay(), bob.onlyRelay()]);
  await bob.sees(1);
  // then
  assert.deepEqual(await Promise.all([alice.safety(), bob.safety()]), [first, first]);
});

test("Chromium and Firefox see the same safety number", async () => {
  const firefox = await venue.launch(launchFirefox);
  const [alice, bob] = await venue.call("Alice", { name: "Bob", browser: firefox });
  assert.deepEqual(await alice.safety(), await bob.safety());
});

test("somebody in between, whom a lying server has let in, is given away by numbers that differ", async () => {
  const [alice, bob] = await call({ isSmart: true });
  const [first, second] = await Promise.all([alice.safety(), bob.safety()]);
  assert.notDeepEqual(first.signs, second.signs);
  assert.notEqual(first.digits, second.digits);
  await bob.say("Nobody else reads this, or so it seems.");
  await alice.hears("Bob", "Nobody else reads this, or so it seems.");
});

test("somebody in between who makes no numbers of their own is noticed by the page itself", async () => {
  const [alice, bob] = await call({ isSmart: false });
  await Promise.all([alice.safety("broken"), bob.safety("broken")]);
});

/** Two people, with somebody between them. @param {{ isSmart: boolean }} options */
async function call(options) {
  const middle = await venue.visitor();
  await middle.page.goto(`${venue.origin}/safety`);
  const between = await standBetween(middle.page, options);
  return venue.call({ name: "Alice", ...between }, { name: "Bob", ...between });
}
