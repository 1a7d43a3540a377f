/** Who may open a room, where not everybody may: with a password, or with an invitation. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { BINARY } from "./support/hairpin.js";
import { Venue } from "./support/venue.js";

/** `printf 'correct horse' | argon2 somesaltsomesalt -id -t 2 -k 64 -p 1 -l 32 -e` */
const HASH = "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uL2hQzJmxaz0Tfm2KK6uNjA0+UvbrHBEBwVmJYrNXCE";

const venue = new Venue();
before(() => venue.open({ rooms: `create = "password"\npassword_hash = "${HASH}"` }));
afterEach(() => venue.clear());
after(() => venue.close());

/** @param {import("./support/visitor.js").Visitor} visitor @param {string} password */
async function answer(visitor, password) {
  await visitor.page.waitForSelector("dialog.ask[open] #password");
  await visitor.page.$eval("#password", (field, password) => {
    field.value = password;
    field.form.requestSubmit();
  }, password);
}

test("who opens a room is asked for the password once, and guests are not", async () => {
  const room = venue.room();
  const alice = await venue.guest(room, { name: "Alice" });
  alice.expect(/403/);
  await alice.knock();
  await answer(alice, "correct horses");
  await alice.until((text) => document.getElementById("password-wrong").textContent === text, "This password is wrong.");
  await answer(alice, "correct horse");
  await alice.until(() => !document.getElementById("call").hidden);
  const bob = await venue.guest(room, { name: "Bob" });
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
  assert.equal(await bob.page.evaluate(() => document.querySelector("dialog.ask")), null);
  // What is kept is no password, and no link has it.
  const kept = await alice.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.body.innerText]));
  assert.ok(!kept.includes("correct horse") && kept.includes("p1."), kept);
  // when: another room
  await alice.page.goto(venue.room());
  await alice.enter();
  assert.equal(await alice.page.evaluate(() => document.querySelector("dialog.ask")), null);
});

test("the start page asks before the first call, and who cancels stays there", async () => {
  const visitor = await venue.visitor();
  await visitor.page.goto(venue.origin);
  await visitor.page.waitForSelector(".welcome:not(.is-asking)");
  await visitor.click("#new");
  await visitor.page.waitForSelector("dialog.ask[open]");
  await visitor.page.keyboard.press("Escape");
  await visitor.until(() => !document.querySelector("dialog.ask"));
  assert.equal(new URL(visitor.page.url()).pathname, "/");
  await visitor.click("#new");
  await answer(visitor, "correct horse");
  await visitor.page.waitForSelector("#enter");
  assert.match(visitor.page.url(), /\/r\/[\w-]{22}#k=/);
});

test("a guest without the password is told that there is no call yet", async () => {
  const guest = await venue.guest(venue.room(), { name: "Bob" });
  await guest.knock();
  await guest.page.waitForSelector("dialog.ask[open]");
  await guest.click("dialog.ask button[type=button]");
  await guest.isTold("No call here right now");
});

test("with an invitation a room is opened without the password, until it has expired", async () => {
  const alice = await venue.guest(invite("our room", "1m"), { name: "Alice" });
  await alice.enter();
  // Guests need no token, so none is passed on.
  const shared = await copied(alice);
  assert.equal(shared, `${venue.origin}/r/our%20room`);
  const bob = await venue.guest(shared, { name: "Bob" });
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
  // An invitation to one room opens no other, and one that has expired says so.
  const expired = invite("another room", "1m").replace(/t=r1\.\d+/, "t=r1.1000000000");
  const carol = await venue.guest(expired, { name: "Carol" });
  await carol.knock();
  await carol.page.waitForSelector("dialog.ask[open]");
});

/** The link that the page offers for inviting others. @param {import("./support/guest.js").Guest} guest */
async function copied({ page }) {
  await page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => void (window.copied = text);
    document.querySelector("#alone-link .primary").click();
  });
  await page.waitForFunction(() => window.copied);
  return page.evaluate(() => window.copied);
}

/** The link that the command prints. @param {string} room @param {string} ttl */
function invite(room, ttl) {
  const folder = mkdtempSync(join(tmpdir(), "hairpin-invite-"));
  const file = join(folder, "config.toml");
  writeFileSync(file, venue.config, { mode: 0o600 });
  const link = execFileSync(BINARY, ["invite", "--room", room, "--ttl", ttl, "--url", venue.origin, "--config", file], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  return link.trim();
}
