/** The call page in a frame of another site: docs/embedding/example.html, as it is written there. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { freePorts } from "./support/config.js";
import { Venue } from "./support/venue.js";

const EXAMPLE = readFileSync(new URL("../../docs/embedding/example.html", import.meta.url), "utf8");

const venue = new Venue();
/** A site that may show the page, and one that may not. @type {string[]} */
let sites = [];
/** @type {import("node:http").Server[]} */
let servers = [];
before(async () => {
  const ports = (await freePorts(6)).slice(-2);
  sites = ports.map((port) => `http://localhost:${port}`);
  await venue.open({ http: `frame_ancestors = ["${sites[0]}"]` });
  const page = EXAMPLE.replace("https://call.example.org", venue.origin);
  assert.notEqual(page, EXAMPLE);
  servers = ports.map((port) => createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(page)).listen(port, "127.0.0.1"));
});
afterEach(() => venue.clear());
after(async () => {
  for (const server of servers) server.close();
  await venue.close();
});

/** @param {import("./support/visitor.js").Visitor} visitor */
const callIn = (visitor) => visitor.page.waitForFrame((frame) => frame.url().startsWith(`${venue.origin}/r/`));

test("the example shows a call in a frame, hears of it, and steers it", async () => {
  const ada = await venue.visitor({ theme: "dark" });
  await ada.page.goto(sites[0]);
  const call = await callIn(ada);
  await call.waitForSelector("#enter:not([disabled])");
  assert.deepEqual(
    await call.evaluate(() => [document.getElementById("name").value, document.documentElement.dataset.theme, document.documentElement.lang]),
    ["Ada", "light", "en"],
  );
  // when
  await call.$eval("#enter", (button) => button.click());
  await ada.until(() => document.getElementById("told").textContent === "In the call: 1");
  const bob = await venue.guest(`${venue.origin}/r/consulting-hour-7f3kq9`, { name: "Bob" });
  await bob.enter();
  // then
  await ada.until(() => document.getElementById("told").textContent === "In the call: 2");
  await bob.looks("Ada", { muted: false, picture: false });
  await ada.click("[data-command=mute]");
  await ada.click("[data-command=camera-on]");
  await bob.looks("Ada", { muted: true, picture: true });
  await ada.click("[data-command=unmute]");
  await ada.click("[data-command=camera-off]");
  await bob.looks("Ada", { muted: false, picture: false });
  await ada.click("[data-command=leave]");
  await ada.until(() => document.getElementById("told").textContent === "Not in the call any more: left");
  await bob.until(() => document.querySelectorAll("#stage .tile:not(.self)").length === 0);
});

test("a site that the operator has not named shows nothing", async () => {
  const eve = await venue.visitor();
  eve.expect(/frame-ancestors|refused to connect|ERR_BLOCKED_BY_RESPONSE/i);
  await eve.page.goto(sites[1]);
  await eve.page.waitForFrame((frame) => frame.url().startsWith("chrome-error:"));
  assert.equal(await eve.text("#told"), "Not joined yet");
});

test("a link may say who comes and with what, without a frame, too", async () => {
  const ada = await venue.visitor({ theme: "light" });
  await ada.page.goto(`${venue.room()}?name=Ada%E2%80%AE&mic=off&cam=off&lang=ko&theme=dark#k=key`);
  await ada.page.waitForSelector("#enter:not([disabled])");
  const shown = await ada.page.evaluate(() => [document.getElementById("name").value, document.documentElement.dataset.theme, document.documentElement.lang]);
  assert.deepEqual(shown, ["Ada", "dark", "ko"]);
  await ada.click("#enter");
  await ada.until(() => !document.getElementById("call").hidden);
  const room = ada.page.url().replace("?name=Ada%E2%80%AE&mic=off&cam=off&lang=ko&theme=dark", "");
  const bob = await venue.guest(room, { name: "Bob" });
  await bob.enter();
  await bob.looks("Ada", { muted: true, picture: false });
});
