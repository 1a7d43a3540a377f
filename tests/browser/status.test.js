/** The status page shows administrators the daemon as it is, in either language, on any screen, and nothing to others. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { launchChromium } from "./support/browser.js";
import { freePorts, onLoopback } from "./support/config.js";
import { Hairpin } from "./support/hairpin.js";
import { Leftovers } from "./support/leftovers.js";
import { axeFile } from "./support/packages.js";
import { Visitor } from "./support/visitor.js";

const TOKEN = "hairpin_of_the_tests";
const axe = readFileSync(axeFile, "utf8");
const leftovers = new Leftovers();
let browser;
let hairpin;
let status = "";
let site = "";

before(async () => {
  const [http, turn, admin] = await freePorts(3);
  const hash = createHash("sha256").update(TOKEN).digest("hex");
  const more = `[admin]\nlisten = ["127.0.0.1:${admin}"]\ntoken_hash = "sha256:${hash}"`;
  hairpin = await Hairpin.start(onLoopback({ http, turn, more }));
  leftovers.add(() => hairpin.stop());
  browser = await launchChromium();
  leftovers.add(() => browser.close());
  [status, site] = [`http://127.0.0.1:${admin}/`, `http://localhost:${http}/`];
});
after(() => leftovers.clear());

async function administrator(options) {
  const visitor = await Visitor.with(browser, options);
  visitor.expect(/status of 401/);
  await visitor.page.goto(status);
  await visitor.page.waitForSelector("#login:not([hidden])");
  return visitor;
}

async function enter(visitor, token) {
  await visitor.page.$eval("#token", (input) => (input.value = ""));
  await visitor.page.type("#token", token);
  await visitor.page.keyboard.press("Enter");
}

test("without the token the page shows nothing, a wrong one is said to be wrong, and the right one opens it", async () => {
  const visitor = await administrator();
  assert.equal(await visitor.page.$eval("#cards", (cards) => cards.childElementCount), 0);
  await enter(visitor, "hairpin_guessed");
  await visitor.page.waitForSelector("#token-wrong:not([hidden])");

  await enter(visitor, TOKEN);
  await visitor.page.waitForSelector('#summary[data-mood="good"]');

  assert.match(await visitor.page.$eval("#summary", (summary) => summary.textContent), /Serving since .+ Version \d/);
  await visitor.page.reload();
  await visitor.page.waitForSelector('#summary[data-mood="good"]');
  await visitor.close();
});

test("it is not on the listener of the site", async () => {
  const visitor = await Visitor.with(browser, {});
  await visitor.page.goto(site);
  assert.doesNotMatch(await visitor.page.content(), /admin\.js/);
  const answers = await visitor.page.evaluate(() => Promise.all(["/status", "/history", "/admin", "/admin.html"].map(async (path) => (await fetch(path)).status)));
  assert.deepEqual(answers, [404, 404, 404, 404]);
  visitor.expect(/status of 404/);
  await visitor.close();
});

test("a session is there while it lasts", async () => {
  const visitor = await administrator();
  await enter(visitor, TOKEN);
  const check = await Visitor.with(browser, {});
  await check.page.goto(`${site}check`);
  // The page's own sessions may be over before the status page asks again.
  await check.page.evaluate(async () => {
    const answer = await fetch("/api/v1/check-ice", { method: "POST" });
    const connection = new RTCPeerConnection({ ...(await answer.json()), iceTransportPolicy: "relay" });
    const candidate = new Promise((resolve) => connection.addEventListener("icecandidate", resolve, { once: true }));
    connection.createDataChannel("");
    await connection.setLocalDescription();
    await candidate;
    Object.assign(window, { connection });
  });

  await visitor.page.waitForFunction(() => Number(document.querySelector(".figure")?.textContent) > 0);

  assert.match(await visitor.page.$eval("#cards", (cards) => cards.innerText), /UDP → UDP, IPv4/);
  await check.page.goto("about:blank");
  await check.close();
  await visitor.close();
});

for (const [language, theme, viewport] of [["en", "light", { width: 1280, height: 800 }], ["ko", "dark", { width: 320, height: 568 }]]) {
  test(`nothing keeps anybody out in ${language}, ${theme}, ${viewport.width} wide`, async () => {
    const visitor = await administrator({ language, theme, viewport });
    assert.deepEqual(await visitor.page.evaluate(judge, axe), []);
    await enter(visitor, TOKEN);
    await visitor.page.waitForSelector('#summary[data-mood="good"]');
    assert.deepEqual(await visitor.page.evaluate(judge, axe), []);
    assert.ok(await visitor.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it scrolls sideways");
    await visitor.close();
  });
}

/** Runs inside the page. */
async function judge(source) {
  if (!window.axe) (0, eval)(source);
  const { violations } = await window.axe.run({ resultTypes: ["violations"] });
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
