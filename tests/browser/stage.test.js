/** Where people and screens are on the stage, and what one does about it, with and without a pointer. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Venue } from "./support/venue.js";

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

test("a screen is large beside its owner, who is told instead of shown it, until a camera is pinned or the sharing stopped", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  assert.equal(await large(bob), "Alice");
  // when
  await alice.click("#share");
  // then
  await bob.until(() => document.querySelector("#stage .large.screen video")?.videoWidth > 0);
  assert.equal(await large(bob), "Alice’s screen");
  await bob.sees(2);
  assert.equal(await alice.text(".sharing p"), "You are sharing your screen");
  assert.equal(await alice.page.$eval(".self.screen video", (video) => video.srcObject.getTracks().length), 0);
  // when
  await bob.page.focus("[aria-label='Alice'] .pin");
  await bob.page.keyboard.press("Enter");
  // then
  assert.equal(await large(bob), "Alice");
  assert.deepEqual(await pressed(bob), ["Show Alice large"]);
  // when
  await bob.click("[aria-label='Alice’s screen']");
  // then
  assert.equal(await large(bob), "Alice’s screen");
  // when
  await alice.click(".sharing button");
  // then
  await bob.looks("Alice", { screen: false });
  assert.equal(await large(bob), "Alice");
  assert.equal(await alice.page.$(".self.screen"), null);
});

test("one's own picture goes to any corner and out of sight, by keys and by pointer, and is there again in the next call", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  assert.equal(await corner(alice), "bottom right");
  // when
  await alice.page.focus(".self .move");
  await alice.page.keyboard.press("ArrowLeft");
  await alice.page.keyboard.press("ArrowUp");
  // then
  assert.equal(await corner(alice), "top left");
  // when
  const { x, y } = await alice.page.$eval(".self", (it) => it.getBoundingClientRect().toJSON());
  await alice.page.mouse.move(x + 40, y + 90);
  await alice.page.mouse.down();
  await alice.page.mouse.move(x + 900, y + 100, { steps: 4 });
  await alice.page.mouse.up();
  // then
  assert.equal(await corner(alice), "top right");
  // when
  await alice.page.focus(".self .hide");
  await alice.page.keyboard.press("Enter");
  // then
  assert.equal(await alice.page.$eval(".self", (it) => it.hidden), true);
  assert.equal(await alice.page.evaluate(() => document.activeElement.id), "self-back");
  // when
  await alice.page.reload();
  await alice.until(() => !document.getElementById("self-back").hidden && document.getElementById("self-back").offsetParent);
  await alice.page.focus("#self-back");
  await alice.page.keyboard.press("Enter");
  // then
  assert.equal(await corner(alice), "top right");
});

test("a button shows whoever speaks large and the others beside, or everybody the same, and stays as it is in the next call", async () => {
  const [alice] = await venue.call("Alice", "Bob", "Cem");
  const stands = (layout, isPressed) =>
    alice.until((layout, isPressed) => {
      const all = [...document.querySelectorAll("#stage .tile:not([hidden])")];
      const large = all.filter((it) => it.classList.contains("large"));
      const isRight = layout === "grid" ? large.length === 0 : ["Bob", "Cem"].includes(large[0]?.ariaLabel) && large.length === 1;
      return isRight && all.length === 3 && document.getElementById("layout").ariaPressed === isPressed;
    }, layout, isPressed);
  await stands("grid", "false");
  // when
  await alice.click("#layout");
  // then
  await stands("large", "true");
  await alice.sees(2);
  // when
  await alice.page.reload();
  // then
  await stands("large", "true");
  // when
  await alice.click("#layout");
  // then
  await stands("grid", "false");
});

test("what has no button of its own is in a menu, which keys open, walk through and close", async () => {
  const [alice] = await venue.call("Alice", "Bob");
  const focused = () => alice.page.evaluate(() => document.activeElement.textContent.trim());
  const press = (key) => alice.page.keyboard.press(key);
  await alice.page.focus("#more");
  // when
  await press("Enter");
  // then
  await alice.until(() => document.activeElement.role === "menuitem");
  const first = await focused();
  await press("ArrowUp");
  assert.equal(await focused(), await alice.page.$$eval(".menu button", (all) => all.at(-1).textContent.trim()));
  await press("ArrowDown");
  assert.equal(await focused(), first);
  await press("Escape");
  assert.equal(await focused(), "More");
  assert.equal(await alice.page.$(".menu:popover-open"), null);
  // when
  await press("Enter");
  await alice.until(() => document.activeElement.role === "menuitem");
  await press("End");
  while ((await focused()) !== "Full screen (F)") await press("ArrowUp");
  await press("Enter");
  // then
  await alice.until(() => document.fullscreenElement);
  await press("f");
  await alice.until(() => !document.fullscreenElement);
});

test("a small window shows whoever is foremost, mutes, and leaves the call", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  const small = (act) => alice.page.evaluate(act);
  // when
  await alice.click("#more");
  await alice.click(".menu ::-p-text(Small window on top)");
  // then
  await alice.until(() => window.documentPictureInPicture.window?.document.querySelector("video")?.videoWidth > 0);
  assert.equal(await small(() => window.documentPictureInPicture.window.document.querySelector(".who").textContent), "Bob");
  // when
  await small(() => window.documentPictureInPicture.window.document.querySelector("button").click());
  // then
  await bob.looks("Alice", { muted: true });
  await alice.until(() => window.documentPictureInPicture.window.document.querySelector("button").ariaLabel.startsWith("Unmute"));
  // when
  await small(() => window.documentPictureInPicture.window.document.querySelector(".leave").click());
  // then
  await alice.isTold("You have left the call");
  await alice.until(() => !window.documentPictureInPicture.window);
});

test("the list of people says so when somebody's connection is gone", async () => {
  const [alice, bob] = await venue.call("Alice", "Bob");
  await alice.click("#open-people");
  assert.doesNotMatch(await alice.text("#people-list"), /interrupted/);
  // when
  await bob.page.evaluate(() => window.watched.connections.forEach((it) => it.close()));
  // then
  await alice.until(() => document.getElementById("people-list").innerText.includes("Connection interrupted"));
});

/** @param {import("./support/guest.js").Guest} guest */
function large(guest) {
  return guest.page.$eval("#stage .large", (tile) => tile.ariaLabel);
}

/** @param {import("./support/guest.js").Guest} guest */
function pressed(guest) {
  return guest.page.$$eval("#stage .pin[aria-pressed='true']", (all) => all.map((it) => it.ariaLabel));
}

/** Where one's own picture is on the large one. @param {import("./support/guest.js").Guest} guest */
function corner(guest) {
  return guest.page.evaluate(() => {
    const [own, large] = [".overlay", ".large"].map((it) => document.querySelector(`#stage ${it}`).getBoundingClientRect());
    return `${own.y - large.y < 20 ? "top" : large.bottom - own.bottom < 20 ? "bottom" : "?"} ${own.x - large.x < 20 ? "left" : large.right - own.right < 20 ? "right" : "?"}`;
  });
}
