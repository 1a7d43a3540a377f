/** What the README says, as somebody does it who has only just found it: start the daemon, open a page, send the link. */

import { afterEach, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { Lab } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";

const leftovers = new Leftovers();
afterEach(() => leftovers.clear());

test("without a configuration, two windows at http://localhost:8080 see each other", async () => {
  // given: a machine on which nothing else has these ports
  const lab = new Lab("open", "open");
  leftovers.add(() => lab.down());
  const namespace = Lab.namespace("srv");
  const hairpin = await Hairpin.start(null, namespace);
  leftovers.add(() => hairpin.stop());
  const browser = await launchChromium({ namespace });
  leftovers.add(() => browser.close());
  // when
  const alice = await Guest.with(browser);
  leftovers.add(() => alice.close());
  await alice.page.goto("http://localhost:8080");
  await alice.click("#new");
  await alice.page.waitForNavigation();
  await alice.enter();
  const bob = await Guest.at(browser, `http://${await alice.text("#alone-link .address")}`, { name: "Bob" });
  leftovers.add(() => bob.close());
  await bob.enter();
  // then
  await Promise.all([alice.sees(1), bob.sees(1)]);
});
