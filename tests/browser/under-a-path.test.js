/** A site that shares its host with others, behind a proxy that gives it a path: everything works as at the root of a host. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Check } from "./support/check.js";
import { freePorts } from "./support/config.js";
import { Leftovers } from "./support/leftovers.js";
import { proxy } from "./support/proxy.js";
import { Venue } from "./support/venue.js";

for (const strips of [false, true]) {
  test(`two people meet under a path that the proxy ${strips ? "takes away" : "passes on"}`, async () => {
    const leftovers = new Leftovers();
    const venue = new Venue();
    try {
      await meet(venue, leftovers, strips);
    } finally {
      await venue.clear();
      await venue.close();
      await leftovers.clear();
    }
  });
}

/** @param {Venue} venue @param {Leftovers} leftovers @param {boolean} strips */
async function meet(venue, leftovers, strips) {
  await venue.open({
    behind: async (http) => {
      const [port] = (await freePorts(4)).slice(-1);
      leftovers.add(await proxy({ port, to: http, path: "/video/call", strips }));
      return `http://localhost:${port}/video/call`;
    },
  });
  const { origin, pathname } = new URL(venue.origin);
  const outside = [];
  const visitor = await venue.visitor();
  visitor.page.on("request", (request) => {
    if (new URL(request.url()).origin === origin && !request.url().startsWith(`${venue.origin}/`)) outside.push(request.url());
  });
  await visitor.page.goto(`${venue.origin}/`);
  await visitor.page.waitForSelector(".welcome:not(.is-asking)");
  await visitor.click("#new");
  await visitor.page.waitForSelector("#enter");
  assert.ok(new URL(visitor.page.url()).pathname.startsWith(`${pathname}/r/`), visitor.page.url());
  const room = visitor.page.url();
  await visitor.page.goto("about:blank");
  const alice = await venue.guest(room, { name: "Alice" });
  await alice.isReady();
  await alice.enter();
  assert.ok((await alice.text("#alone-link .address")).startsWith(`${venue.origin.slice("http://".length)}/r/`));
  const bob = await venue.guest(alice.page.url(), { name: "Bob" });
  await bob.isReady();
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
  const check = await Check.at(venue.browser, `${venue.origin}/check`);
  const { mood, ways } = await check.verdict();
  await check.close();
  assert.equal(ways.rooms, "ok.rooms", JSON.stringify({ mood, ways }));
  visitor.expect(/404/);
  await visitor.page.goto(`${venue.origin}/nowhere`);
  assert.equal(await visitor.page.$eval("main a.button", (link) => link.getAttribute("href")), `${pathname}/`);
  assert.deepEqual(outside, []);
}
