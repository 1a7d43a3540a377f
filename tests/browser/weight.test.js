/** What a visit costs those who pay for each byte: the call page, the first time and again. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";
import { scales } from "./support/weight.js";

const FIRST_VISIT_MAX = 160_000;
const RELOAD_MAX = 10_000;
/** Everything that the page loads by itself is there. */
const ALL = { waitUntil: "networkidle0" };

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

for (const language of ["en", "ko"]) {
  test(`the first visit of a room and a reload cost little (${language})`, async (t) => {
    const { page } = await venue.visitor({ language });
    const weigh = await scales(page);
    const first = await weigh(() => page.goto(venue.room(), ALL));
    const again = await weigh(() => page.reload(ALL));
    t.diagnostic(`first visit: ${first.bytes} bytes in ${first.requests} requests; reload: ${again.bytes} in ${again.requests}`);
    assert.equal(await page.$eval("html", (it) => it.lang), language);
    assert.ok(first.bytes > 50_000 && first.bytes <= FIRST_VISIT_MAX, `first visit: ${first.bytes} bytes`);
    assert.ok(again.bytes <= RELOAD_MAX, `reload: ${again.bytes} bytes`);
  });
}

test("only those who read Korean load its texts, and those who choose it later load them then", async () => {
  const visitor = await venue.visitor();
  const asked = [];
  visitor.page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await visitor.page.goto(venue.origin, ALL);
  assert.deepEqual(asked.filter((path) => path.endsWith("/i18n/ko.js")), []);
  // when
  await visitor.page.select("select[data-t-label='bar.language']", "ko");
  // then
  await visitor.until(() => document.documentElement.lang === "ko");
  assert.equal(await visitor.text("h1"), (await import("../../web/i18n/ko.js")).default["start.title"]);
});

test("a script of a version that the server does not have is the current one, and is not kept", async () => {
  const visitor = await venue.visitor();
  await visitor.page.goto(venue.origin, ALL);
  const told = await visitor.page.evaluate(async () => {
    const script = document.querySelector("script[type=module]").src;
    const caching = async (url) => {
      const answer = await fetch(url, { cache: "no-store" });
      return [answer.status, answer.headers.get("cache-control")];
    };
    return [await caching(script), await caching(script.replace(/~[^/]+/, "~older")), (await caching(script.replace("start.js", "none.js")))[0]];
  });
  assert.deepEqual(told, [[200, "public, max-age=31536000, immutable"], [200, "no-cache"], 404]);
  visitor.expect(/404/);
});
