/** Pages that the server does not let into the rooms: they say why, and what to do about it. */

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { Cable } from "./support/cable.js";
import { Check } from "./support/check.js";
import { freePorts, onLoopback } from "./support/config.js";
import { Guest } from "./support/guest.js";
import { Hairpin } from "./support/hairpin.js";
import { Leftovers } from "./support/leftovers.js";
import { Visitor } from "./support/visitor.js";

/** What Chromium says of a socket that does not open, and of credentials that are not given. */
const REFUSED = /WebSocket connection to .* failed|status of 40[13]/;

const leftovers = new Leftovers();
let browser;
let ports;
before(async () => {
  browser = await launchChromium();
  ports = await freePorts(4);
});
afterEach(() => leftovers.clear());
after(() => browser.close());

// On its way from one origin to the other, Chromium now and then loads the new page's icon by the policy of the old page.
const ICON = /img-src.*\/icon\.svg|\/icon\.svg.*img-src/;

test("a page at another address than the server's leads to the same room at the right one", async () => {
  const { right, wrong } = await misplaced({ isNamed: true });
  const alice = await guest(`${right}/r/team#k=key`, "Alice");
  await alice.enter();
  const bob = await guest(`${wrong}/r/team#k=key`, "Bob");
  bob.expect(ICON);
  // when
  await bob.knock();
  await bob.isTold("Calls are at another address");
  // then
  assert.equal(await bob.text("#notice-text"), `This page was opened at ${wrong}, but the server expects ${right}.`);
  assert.equal(await bob.page.evaluate(() => document.getElementById("preview-video").srcObject), null, "the camera is off");
  await bob.click("#notice-actions a");
  await bob.enter();
  await Promise.all([alice.sees(1), bob.sees(1)]);
});

test("the start page at another address than the server's leads to the right one", async () => {
  const { right, wrong } = await misplaced({ isNamed: true });
  const visitor = await visit(`${wrong}/`);
  visitor.expect(ICON);
  await visitor.until(() => document.getElementById("new").innerText === "Go there");
  assert.equal(await visitor.text("#lead"), `This page was opened at ${wrong}, but the server expects ${right}.`);
  assert.equal(await visitor.page.$eval("#join", (form) => form.hidden), true);
  // A wait that begins in the page that is being left can miss the one that comes.
  await Promise.all([visitor.page.waitForNavigation(), visitor.click("#new")]);
  await visitor.until(() => document.getElementById("new").innerText === "Start a call");
  assert.equal(visitor.page.url(), `${right}/`);
});

test("the check at another address than the server's leads to the right one", async () => {
  const { right, wrong } = await misplaced({ isNamed: true });
  const check = await checked(`${wrong}/check`);
  check.expect(ICON);
  const verdict = await check.verdict();
  assert.deepEqual([verdict.mood, verdict.ways], ["bad", { rooms: "elsewhere.rooms" }]);
  assert.equal(verdict.summary, `This page was opened at ${wrong}, but the server expects ${right}.`);
  await check.click("#there");
  assert.equal((await check.verdict()).summary, "summary.no_tls");
  assert.equal(check.page.url(), `${right}/check`);
});

test("where the server does not know its own address, whoever runs it is told what to write", async () => {
  const { wrong } = await misplaced({ isNamed: false });
  const bob = await guest(`${wrong}/r/team`, "Bob");
  await bob.knock();
  await bob.isTold("No calls at this address yet");
  assert.ok((await bob.text("#notice-text")).includes(`public_url = "${wrong}"`));
  const check = await checked(`${wrong}/check`);
  assert.deepEqual((await check.verdict()).ways, { rooms: "unnamed.rooms" });
  const visitor = await visit(`${wrong}/`);
  await visitor.until(() => document.getElementById("new").hidden);
  assert.ok((await visitor.text("#lead")).includes(`public_url = "${wrong}"`));
});

for (const [what, rooms, title, key] of [
  ["has too many connections", "sockets_per_ip = 1", "Too many connections from your network", "too_many.rooms"],
  ["comes to a full server", "members = 1", "The server is full", "full.rooms"],
]) {
  test(`whoever ${what} is told so, and is in as soon as somebody has left`, async () => {
    const origin = await serve({ rooms });
    const alice = await guest(`${origin}/r/team`, "Alice");
    await alice.enter();
    const bob = await guest(`${origin}/r/team`, "Bob");
    await bob.knock();
    await bob.isTold(title);
    const check = await checked(`${origin}/check`);
    assert.equal((await check.verdict()).ways.rooms, key);
    // when
    await alice.click("#leave");
    // then
    await bob.until(() => !document.getElementById("call").hidden);
    assert.equal(await bob.page.$eval("#notice", (notice) => notice.hidden), true);
  });
}

test("a proxy that lets no WebSockets through is blamed, and nobody else is", async () => {
  const origin = await serve({ behind: proxyWithoutUpgrade });
  const bob = await guest(`${origin}/r/team`, "Bob");
  await bob.knock();
  await bob.isTold("Something blocks the connection");
  const check = await checked(`${origin}/check`);
  assert.equal((await check.verdict()).ways.rooms, "blocked.rooms");
});

test("where only tokens start calls, the start page offers none, and a call that is not there is not blamed on the link", async () => {
  const origin = await serve({ rooms: 'create = "token"' });
  const alice = allowed(await Guest.with(browser));
  await alice.page.goto(`${origin}/`);
  await alice.until(() => document.getElementById("lead").innerText.startsWith("On this server, only the operator starts calls."));
  assert.equal(await alice.page.$eval("#new", (link) => link.hidden), true);
  assert.equal(await alice.text("#join-label"), "Your invitation");
  // when
  await alice.page.type("#room", `${origin}/r/team`);
  await alice.click("#go");
  await alice.knock();
  // then
  await alice.isTold("No call here right now");
  const check = await checked(`${origin}/check`);
  const verdict = await check.verdict();
  assert.deepEqual([verdict.mood, verdict.summary, verdict.ways], ["fair", "summary.token", { rooms: "ok.rooms" }]);
});

/** A daemon that is reached at two addresses, one of which it knows for its own if it `isNamed`. */
async function misplaced({ isNamed }) {
  const [, , right, wrong] = ports.map((port) => `http://localhost:${port}`);
  await serve({ publicUrl: isNamed ? right : undefined, behind: async (http) => {
    for (const port of ports.slice(2)) {
      const cable = await Cable.lay(port, http);
      leftovers.add(() => cable.close());
    }
  } });
  return { right, wrong };
}

/** @param {{ rooms?: string, publicUrl?: string, behind?: (http: number, port: number) => Promise<void> }} options @returns {Promise<string>} where its pages are */
async function serve({ rooms = "", publicUrl, behind }) {
  const [http, turn, port] = ports;
  await behind?.(http, port);
  const origin = publicUrl ?? `http://localhost:${behind ? port : http}`;
  const named = publicUrl ?? (behind === proxyWithoutUpgrade ? origin : undefined);
  const hairpin = await Hairpin.start(onLoopback({ http, turn, publicUrl: named, more: `[rooms]\n${rooms}` }));
  leftovers.add(() => hairpin.stop());
  return origin;
}

/** As many a proxy is set up: whatever it does not know of a request, it leaves out. @param {number} http @param {number} port */
async function proxyWithoutUpgrade(http, port) {
  const proxy = createServer((asked, answer) => {
    const { connection, upgrade, ...headers } = asked.headers;
    const passed = request({ port: http, method: asked.method, path: asked.url, headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise((listens) => proxy.listen(port, "127.0.0.1", listens));
  leftovers.add(() => {
    proxy.closeAllConnections();
    return new Promise((closed) => proxy.close(closed));
  });
}

/** @param {string} url @param {string} name */
async function guest(url, name) {
  return allowed(await Guest.at(browser, url, { name }));
}

/** @param {string} url */
async function visit(url) {
  const visitor = allowed(await Visitor.with(browser));
  await visitor.page.goto(url);
  return visitor;
}

/** @param {string} url */
async function checked(url) {
  return allowed(await Check.at(browser, url));
}

/** @template {Visitor} T @param {T} visitor @returns {T} */
function allowed(visitor) {
  visitor.expect(REFUSED);
  leftovers.add(() => visitor.close());
  return visitor;
}
