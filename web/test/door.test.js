import assert from "node:assert/strict";
import { test } from "node:test";

import { Door, askDoor, isLasting, rightPlace, understand } from "../js/wire/door.js";
import { Signaling } from "../js/wire/signaling.js";
import { FakeClock, FakeSocket, settled } from "./fakes.js";

const HERE = "http://192.0.2.5:8080";
const THERE = "https://call.example.org";
const open = { origin: HERE, expected: THERE, allowed: true, needs_token: false, sockets: "ok", create: "anyone", tls: true };

test("each answer of the server has one meaning", () => {
  for (const [answer, reason, lasts] of [
    [{ ...open, allowed: false }, "elsewhere", true],
    [{ ...open, allowed: false, expected: null }, "unnamed", true],
    [{ ...open, allowed: false, origin: "http://proxy" }, "altered", true],
    [{ ...open, allowed: false, origin: null }, "altered", true],
    [{ ...open, sockets: "too_many" }, "too_many", false],
    [{ ...open, sockets: "full" }, "full", false],
    [{ ...open, sockets: "draining" }, "draining", false],
    [open, "blocked", false],
    [null, "silent", false],
  ]) {
    const why = understand(answer, HERE);
    assert.deepEqual([why.reason, why.origin, isLasting(why)], [reason, HERE, lasts]);
  }
});

test("the right address leads to the same room, and keeps its key from the server", () => {
  const why = understand({ ...open, allowed: false }, HERE);
  assert.equal(rightPlace(why, new URL(`${HERE}/r/team%20a#k=key`)), `${THERE}/r/team%20a#k=key`);
  for (const path of ["/call/r/a#k=key", "/r/a#k=key"]) assert.equal(rightPlace(why, new URL(HERE + path), "/call/"), `${THERE}/call/r/a#k=key`);
});

test("the server is asked in a way in which browsers name the page's origin", async () => {
  const asked = [];
  const fetch = async (url, init) => (asked.push([url, init.method]), { ok: true, json: async () => open });
  assert.deepEqual(await askDoor(fetch, new FakeClock()), open);
  assert.deepEqual(asked, [["/api/v1/door", "POST"]]);
});

test("a network that asks too often is one that connects too often", async () => {
  const answer = await askDoor(async () => ({ ok: false, status: 429 }), new FakeClock());
  assert.equal(understand(answer, HERE).reason, "too_many");
});

test("a server that does not know the question, fails, or says nothing has given no answer", async () => {
  const clock = new FakeClock();
  for (const fetch of [async () => ({ ok: false, status: 404 }), () => Promise.reject(new TypeError()), async () => ({ ok: true, json: () => Promise.reject(new SyntaxError()) })]) {
    assert.equal(await askDoor(fetch, clock), null);
  }
  const answer = askDoor(() => new Promise(() => {}), clock);
  await clock.advance(5_000);
  assert.equal(await answer, null);
});

/** A session whose page asks at the door, which answers as it is told. */
function knocking() {
  FakeSocket.all = [];
  const clock = new FakeClock();
  const signaling = new Signaling({ url: "ws://h/ws", WebSocket: FakeSocket, clock, random: () => 1 });
  const asked = [];
  const door = new Door({ signaling, origin: HERE, ask: () => new Promise((answer) => asked.push(answer)) });
  const whys = [];
  door.on("why", ({ reason }) => whys.push(reason));
  signaling.open();
  return { clock, signaling, asked, whys };
}

test("after each socket that does not open the server is asked, once at a time, and the socket is tried on", async () => {
  const { clock, asked, whys } = knocking();
  FakeSocket.last.breaks();
  await clock.advance(500);
  FakeSocket.last.breaks();
  assert.equal(asked.length, 1, "the first answer is still awaited");
  asked[0]({ ...open, sockets: "too_many" });
  await settled();
  assert.deepEqual(whys, ["too_many"]);
  await clock.advance(1_000);
  assert.equal(FakeSocket.all.length, 3);
  FakeSocket.last.breaks();
  asked[1]({ ...open, sockets: "full" });
  await settled();
  assert.deepEqual(whys, ["too_many", "full"]);
});

test("a socket that opens and is closed again was not refused, and one that neither opens nor closes was", async () => {
  const { clock, asked } = knocking();
  FakeSocket.last.opens();
  FakeSocket.last.breaks(1013);
  assert.equal(asked.length, 0);
  await clock.advance(500);
  await clock.advance(10_000);
  assert.equal(asked.length, 1);
});

test("an answer that comes when the page is in, or has gone, is of no interest", async () => {
  for (const end of [(signaling) => signaling.close(), () => (FakeSocket.last.opens(), FakeSocket.last.hears({ t: "welcome", resume: "r", resumed: false }))]) {
    const { clock, signaling, asked, whys } = knocking();
    FakeSocket.last.breaks();
    await clock.advance(500);
    end(signaling);
    asked[0](open);
    await settled();
    assert.deepEqual(whys, []);
  }
});
