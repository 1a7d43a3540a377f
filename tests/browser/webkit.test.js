/** Every page works in WebKit, the engine of Safari, in both languages, without an error. Debian builds it without WebRTC. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { inject } from "./support/inject.js";
import { Leftovers } from "./support/leftovers.js";
import { Venue } from "./support/venue.js";
import { WebKit } from "./support/webkit.js";

const venue = new Venue();
const leftovers = new Leftovers();
/** @type {WebKit} */
let webkit;
before(async () => {
  const behind = async (http) => {
    const proxy = await inject(http, notice);
    leftovers.add(() => new Promise((closed) => {
      proxy.close(closed);
      proxy.closeAllConnections();
    }));
    return `http://localhost:${proxy.address().port}`;
  };
  await venue.open({ launch: () => WebKit.launch(), behind });
  webkit = venue.browser;
});
after(async () => {
  await venue.close();
  await leftovers.clear();
});

for (const path of ["/", "/check", "/safety", "/r/webkit", "/r/%00", "/nowhere"]) {
  for (const language of ["en", "ko"]) {
    test(`${path} in ${language}`, async () => {
      await webkit.goto(`${venue.origin}${path}?lang=${language}`);
      await webkit.until(isDrawn, language);
      assert.deepEqual(await webkit.evaluate(() => window.errors), []);
    });
  }
}

test("a browser without WebRTC is told so", async () => {
  await webkit.goto(`${venue.origin}/r/webkit?lang=en`);
  await webkit.until(() => document.getElementById("notice-title")?.innerText === "This browser cannot make calls");
});

test("the lobby, the call and its panels work", async () => {
  await webkit.goto(`${venue.origin}/r/webkit?lang=en#pretend`);
  await webkit.until(() => document.getElementById("enter")?.disabled === false);
  await webkit.evaluate(() => {
    document.getElementById("name").value = "Ada";
    document.getElementById("enter").click();
  });
  await webkit.until(() => !document.getElementById("call").hidden);
  for (const sheet of ["chat", "people", "connection", "settings"]) {
    await webkit.evaluate((sheet) => document.getElementById(`tab-${sheet}`).click(), sheet);
    await webkit.until((sheet) => !document.getElementById(sheet).hidden, sheet);
  }
  assert.match(await webkit.evaluate(() => document.getElementById("people-list").textContent), /Ada/);
  await webkit.evaluate(() => document.getElementById("leave").click());
  await webkit.until(() => document.getElementById("notice-title").innerText === "You have left the call");
  assert.deepEqual(await webkit.evaluate(() => window.errors), []);
});

/* From here on, what runs inside the page. */

/** Before the page's first script: notes what goes wrong, and pretends to have WebRTC where the address says so. */
function notice() {
  const errors = [];
  Object.assign(window, { errors });
  addEventListener("error", ({ message, target }) => errors.push(message ?? `not loaded: ${target.src ?? target.href}`), true);
  addEventListener("unhandledrejection", ({ reason }) => errors.push(`rejected: ${reason}`));
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => errors.push(`${violatedDirective} ${blockedURI}`));
  const { error } = console;
  console.error = (...words) => {
    errors.push(words.join(" "));
    error(...words);
  };
  if (location.hash !== "#pretend") return;
  window.RTCPeerConnection ??= class RTCPeerConnection extends EventTarget {};
  window.RTCRtpReceiver ??= class RTCRtpReceiver {};
}

/** The page has its bar, in this language, and something below it. */
function isDrawn(language) {
  return document.documentElement.lang === language && document.querySelector("#bar select") !== null && [...document.querySelectorAll("main h1")].some((it) => it.offsetParent && it.innerText);
}
