/** What everybody needs is in sight: on a phone that lies on its side, with large text, and in forced colours. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const LYING = [{ width: 844, height: 390 }, { width: 640, height: 400 }];

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

for (const viewport of LYING) {
  for (const language of ["en", "ko"]) {
    test(`at ${viewport.width}×${viewport.height} in ${language} the way in, one's name and the link's buttons are in sight`, async () => {
      const visitor = await venue.visitor({ language, viewport });
      await visitor.page.goto(`${venue.origin}/`);
      await visitor.until(() => !document.querySelector(".is-asking"));
      assert.deepEqual(await inSight(visitor, "#new", "#room", "#go"), []);
      const guest = await venue.guest(`${venue.origin}/r/lying ${language} ${viewport.width}`, { language, viewport });
      await guest.isReady();
      assert.deepEqual(await inSight(guest, "#name", "#enter", "#preview-mic", "#preview-cam"), []);
      await guest.enter();
      assert.deepEqual(await inSight(guest, "#alone-link .link-buttons button", "#stage .self"), []);
      await guest.click("#invite");
      assert.deepEqual(await inSight(guest, "#invite-link .link-buttons button", "#invite-close"), []);
    });
  }
}

test("with text of twice the size the language can still be chosen on a phone, and a call be left", async () => {
  const viewport = { width: 390, height: 844 };
  const visitor = await venue.visitor({ viewport });
  await visitor.page.goto(`${venue.origin}/`);
  await visitor.page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
  assert.deepEqual(await inSight(visitor, ".bar select"), []);
  const guest = await venue.guest(`${venue.origin}/r/large text`, { viewport });
  await guest.enter();
  await guest.page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
  assert.deepEqual(await inSight(guest, "#leave", "#mic", "#more"), []);
});

test("the controls have room beside each other in every width", async () => {
  const [alice] = await venue.call("Alice");
  for (const width of [320, 360, 390, 480, 640, 660, 720, 800, 1280]) {
    await alice.page.setViewport({ width, height: 700 });
    const boxes = await alice.page.$$eval("#controls button", (all) => all.filter((it) => it.offsetParent).map((it) => it.getBoundingClientRect().toJSON()));
    for (const [i, { left, right }] of boxes.entries()) {
      const next = boxes[i + 1]?.left ?? width;
      assert.ok(left >= 0 && right <= next && right - left >= 36, `at ${width}: button ${i} from ${left} to ${right}, the next at ${next}`);
    }
  }
});

test("on the smallest phone all of the menu is in sight, in either language", async () => {
  for (const language of ["en", "ko"]) {
    const guest = await venue.guest(`${venue.origin}/r/menu ${language}`, { language, viewport: { width: 320, height: 568 } });
    await guest.enter();
    await guest.click("#more");
    await guest.page.waitForSelector(".menu:popover-open");
    assert.deepEqual(await inSight(guest, ".menu button", ".menu .icon"), []);
  }
});

test("what is said in passing leaves the tabs of the panel to be pressed", async () => {
  const room = `${venue.origin}/r/in passing`;
  for (const viewport of [{ width: 390, height: 844 }, { width: 700, height: 900 }, ...LYING, { width: 1280, height: 800 }]) {
    const alice = await venue.guest(room, { name: "Alice", viewport });
    await alice.enter();
    await alice.page.$eval("#open-people", (it) => it.click());
    const bob = await venue.guest(room, { name: "Bob" });
    await bob.enter();
    // when
    await alice.page.waitForSelector(".toast");
    // then
    assert.deepEqual(await inSight(alice, ".tabs button"), [], `at ${viewport.width}`);
    await venue.clear();
  }
});

test("neither the reactions nor the menu cover a button", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  for (const viewport of [{ width: 320, height: 568 }, { width: 390, height: 844 }, ...LYING, { width: 1280, height: 800 }]) {
    await alice.page.setViewport(viewport);
    for (const open of ["#gestures", ".menu"]) {
      if (open === ".menu") await alice.click("#more");
      else await alice.page.$eval(open, (it) => it.showPopover());
      await alice.page.waitForSelector(`${open}:popover-open`);
      const buttons = await alice.page.$$eval("#controls button", (all) => all.filter((it) => it.offsetParent).map((it) => `#${it.id}`));
      assert.deepEqual(await inSight(alice, ...buttons, `${open} button`), [], `${open} at ${viewport.width}`);
      await alice.page.$eval(open, (it) => it.hidePopover());
    }
  }
});

test("on a phone that lies on its side the panel is beside the pictures", async () => {
  const [alice] = await venue.call("Alice", "Bob", "Carol");
  for (const viewport of LYING) {
    await alice.page.setViewport(viewport);
    if (await alice.page.$eval("#panel", (it) => it.hidden)) await alice.click("#open-chat");
    const [panel, ...tiles] = await alice.page.$$eval("#panel, #stage .tile", (all) => all.sort((a, b) => (a.id < b.id ? 1 : -1)).map((it) => it.getBoundingClientRect().toJSON()));
    assert.equal(tiles.length, 3);
    for (const { right, width, height } of tiles) assert.ok(right <= panel.left && width > 76 && height > 57, `${viewport.width}: ${right}, ${width}×${height}`);
    assert.ok(panel.right <= viewport.width && panel.height > 0.75 * (viewport.height - 65), `${viewport.width}: ${panel.height}`);
    assert.deepEqual(await inSight(alice, ".tabs button", "#message", "#leave", "#invite"), []);
  }
});

for (const language of ["en", "ko"]) {
  test(`where a window has room, each control has a word in ${language}, which its name has too; elsewhere none does`, async () => {
    const guest = await venue.guest(venue.room(), { language, viewport: { width: 1024, height: 720 } });
    await (await guest.isReady()).enter();
    const words = () =>
      guest.page.$$eval("#controls .word", (all) =>
        all.filter((it) => it.offsetParent).map((it) => ({ word: it.innerText, name: it.parentElement.ariaLabel, ...it.getBoundingClientRect().toJSON() })),
      );
    const seen = await words();
    assert.equal(seen.length, await guest.page.$$eval("#controls button", (all) => all.filter((it) => it.offsetParent).length));
    for (const [i, { word, name, left, right, bottom }] of seen.entries()) {
      assert.ok(word && name.toLowerCase().includes(word.toLowerCase()), `${name} is called ${word}`);
      assert.ok(left >= 4 && right + 4 <= (seen[i + 1]?.left ?? 1024) && bottom <= 720, `${word} from ${left} to ${right}, down to ${bottom}`);
    }
    for (const viewport of [{ width: 1000, height: 720 }, { width: 1280, height: 640 }]) {
      await guest.page.setViewport(viewport);
      assert.deepEqual(await words(), []);
    }
  });
}

test("in forced colours it is seen what is on, which sheet is open, and where one's own picture ends", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  const session = await alice.page.createCDPSession();
  await session.send("Emulation.setEmulatedMedia", { features: [{ name: "forced-colors", value: "active" }] });
  const colour = (selector, pseudo) => alice.page.$eval(selector, (it, pseudo) => getComputedStyle(it, pseudo).backgroundColor, pseudo);
  await alice.click("#open-connection");
  const [off, mark] = [await colour("#relay-only"), await colour("#tab-connection", "::after")];
  await alice.page.$eval("#relay-only", (it) => (it.checked = true));
  await alice.until((off) => getComputedStyle(document.getElementById("relay-only")).backgroundColor !== off, off);
  assert.notEqual(mark, await colour("#panel"));
  assert.equal(await alice.page.$eval("#stage .self", (it) => getComputedStyle(it).borderTopWidth), "1px");
});

/** Which of these are not wholly in sight and uncovered. @param {import("./support/visitor.js").Visitor} visitor @param {...string} selectors */
function inSight(visitor, ...selectors) {
  return visitor.page.evaluate((selectors) => selectors.filter((selector) => {
    const all = [...document.querySelectorAll(selector)];
    return all.length === 0 || all.some((it) => {
      const { left, right, top, bottom } = it.getBoundingClientRect();
      const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      return !(left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight && (it === found || it.contains(found)));
    });
  }), selectors);
}
