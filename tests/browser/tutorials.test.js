/** Pages in the manner of five tutorials, with their own mistakes, on a site of their own: with Hairpin as their server, people see each other. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { launchFirefox } from "./support/browser.js";
import { freePorts } from "./support/config.js";
import { Leftovers } from "./support/leftovers.js";
import { COMPAT, Learner, ROWS, site } from "./support/tutorials.js";
import { Venue } from "./support/venue.js";

const venue = new Venue();
const leftovers = new Leftovers();
let origin = "";
let server;
let rooms = 0;
before(async () => {
  const [port] = (await freePorts(5)).slice(-1);
  origin = `http://localhost:${port}`;
  await venue.open({ http: `allowed_origins = ["${origin}"]`, rooms: COMPAT });
  server = site(venue.origin).listen(port, "127.0.0.1");
});
afterEach(() => leftovers.clear());
after(async () => {
  server.close();
  await venue.close();
});

/** A page in front of which somebody sits. @param {string} address @param {string} [room] */
async function learner(address, room, browser = venue.browser) {
  const learner = await Learner.at(browser, `${origin}/${address}`, room);
  leftovers.add(() => learner.close());
  return learner;
}

const room = () => `room-${(rooms += 1)}`;

for (const [row, where] of Object.entries(ROWS)) {
  test(`row ${row}: two see each other, and again when one has left and comes back`, async () => {
    const place = where(room());
    const ada = await learner(...place);
    const bob = await learner(...place);
    await Promise.all([ada.sees(1), bob.sees(1)]);
    // when
    await bob.reload(place[1]);
    // then: what the other sees now is not what was left of before
    await bob.sees(1);
    await ada.sees(1);
    // when the other does so, too
    await ada.reload(place[1]);
    await ada.sees(1);
    await bob.sees(1);
  });
}

for (const row of ["a", "e"]) {
  test(`row ${row}: three see each other, and whoever leaves is gone for the others`, async () => {
    const place = ROWS[row](room());
    const people = [await learner(...place), await learner(...place)];
    await Promise.all(people.map((it) => it.sees(1)));
    people.push(await learner(...place));
    await Promise.all(people.map((it) => it.sees(2)));
    // when
    await people[0].close();
    // then
    for (const it of people.slice(1)) await it.until(() => document.querySelectorAll("video.other").length === 1);
    await Promise.all(people.slice(1).map((it) => it.sees(1)));
  });
}

test("row c: a third is told that the room is full, and the two go on", async () => {
  const place = ROWS.c(room());
  const [ada, bob] = [await learner(...place), await learner(...place)];
  await Promise.all([ada.sees(1), bob.sees(1)]);
  const eve = await learner(...place);
  await eve.until(() => document.getElementById("told").textContent === "This room is full");
  await Promise.all([ada.sees(1), bob.sees(1)]);
});

test("with one script tag more, a connection has this server's relay, and nothing else of the page is changed", async () => {
  const name = room();
  const [ada, bob] = [await learner(`b/${name}?relay`), await learner(`b/${name}?relay`)];
  await Promise.all([ada.sees(1), bob.sees(1)]);
  for (const servers of [await ada.servers(), await bob.servers()]) {
    assert.ok(servers.some((url) => url.startsWith("turn:")), servers.join());
    assert.ok(!servers.some((url) => url.includes("stun.invalid")), servers.join());
  }
});

test("row b in Firefox and in Chromium", async () => {
  const firefox = await launchFirefox();
  leftovers.add(() => firefox.close());
  const place = ROWS.b(room());
  const ada = await learner(...place);
  const bob = await learner(place[0], place[1], firefox);
  await Promise.all([ada.sees(1), bob.sees(1)]);
});
