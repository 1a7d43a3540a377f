import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff } from "../js/wire/backoff.js";
import { Signaling } from "../js/wire/signaling.js";
import { FakeClock, FakeSocket, settled } from "./fakes.js";

function begin() {
  FakeSocket.all = [];
  const clock = new FakeClock();
  const signaling = new Signaling({ url: "ws://x/ws", WebSocket: FakeSocket, clock, random: () => 1 });
  const seen = [];
  for (const event of ["state", "begun", "message", "refused", "closed"]) {
    signaling.on(event, (what) => seen.push(event === "message" ? what.t : `${event} ${what?.code ?? what ?? ""}`.trim()));
  }
  signaling.open();
  FakeSocket.last.opens();
  return { clock, signaling, seen };
}

const welcome = (resumed = false) => ({ t: "welcome", session: "s", resume: "token", resumed });

test("a session begins with hello, and the room is joined when it is welcome", () => {
  const { seen } = begin();
  FakeSocket.last.hears(welcome());
  assert.equal(FakeSocket.last.protocol, "signal.v1");
  assert.deepEqual(FakeSocket.last.sent, [{ t: "hello", v: [1] }]);
  assert.deepEqual(seen, ["state up", "begun"]);
});

test("a socket that is prepared says nothing before the session is opened, and is not tried again until then", async () => {
  FakeSocket.all = [];
  const clock = new FakeClock();
  const signaling = new Signaling({ url: "ws://x/ws", WebSocket: FakeSocket, clock, random: () => 1 });
  signaling.prepare();
  FakeSocket.last.opens();
  assert.deepEqual(FakeSocket.last.sent, []);
  signaling.open();
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.sent], [1, [{ t: "hello", v: [1] }]]);
  FakeSocket.last.hears(welcome());
  assert.equal(signaling.state, "up");

  const late = new Signaling({ url: "ws://x/ws", WebSocket: FakeSocket, clock, random: () => 1 });
  late.prepare();
  late.open();
  FakeSocket.last.opens();
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.sent.length], [2, 1]);

  const later = new FakeClock();
  const lost = new Signaling({ url: "ws://x/ws", WebSocket: FakeSocket, clock: later, random: () => 1 });
  lost.prepare();
  FakeSocket.last.breaks();
  await later.advance(60_000);
  assert.equal(FakeSocket.all.length, 3);
  lost.open();
  FakeSocket.last.opens();
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.sent.length], [4, 1]);
});

test("a reply goes to whoever asked, also when it is a refusal", async () => {
  const { signaling } = begin();
  FakeSocket.last.hears(welcome());
  const [joined, locked] = [signaling.request({ t: "join", room: "a" }), signaling.request({ t: "lock", on: true })];
  const [first, second] = FakeSocket.last.sent.slice(1).map(({ id }) => id);
  FakeSocket.last.hears({ n: 1, t: "error", re: second, code: "not_host", message: "no" });
  FakeSocket.last.hears({ n: 2, t: "joined", re: first, peers: [] });
  await assert.rejects(locked, { code: "not_host" });
  assert.equal((await joined).t, "joined");
});

test("a lost socket is resumed from the last frame, and only what was never read is sent again", async () => {
  const { clock, signaling, seen } = begin();
  FakeSocket.last.hears(welcome());
  const asked = ["first", "second"].map((kind) => signaling.request({ t: "msg", kind }));
  FakeSocket.last.hears({ n: 7, t: "peer_away", peer: "p" });
  FakeSocket.last.breaks();
  const third = signaling.request({ t: "msg", kind: "third" });
  await clock.advance(500);
  FakeSocket.last.opens();
  assert.deepEqual(FakeSocket.last.sent, [{ t: "hello", v: [1], resume: "token", last: 7 }]);

  FakeSocket.last.hears(welcome(true));
  FakeSocket.last.hears({ n: 8, t: "ok", re: 1 });
  assert.equal(signaling.state, "down", "what was missed is not all there yet");
  FakeSocket.last.hears({ t: "pong" });
  const again = FakeSocket.last.sent.filter(({ t }) => t === "msg").map(({ kind }) => kind);
  assert.deepEqual(again, ["second", "third"]);
  assert.equal((await asked[0]).t, "ok");
  assert.deepEqual(seen, ["state up", "begun", "peer_away", "state down", "state up"]);
  FakeSocket.last.hears({ n: 9, t: "ok", re: 3 });
  assert.equal((await third).t, "ok");
});

test("a token is shown at each hello, and a session without it follows if it is refused", () => {
  FakeSocket.all = [];
  const signaling = new Signaling({ url: "ws://x/ws", WebSocket: FakeSocket, clock: new FakeClock(), random: () => 1, token: "r1.old" });
  const told = [];
  signaling.on("tokenRefused", (code) => told.push(code));
  signaling.on("refused", ({ code }) => told.push(`refused ${code}`));
  signaling.open();
  FakeSocket.last.opens();
  assert.deepEqual(FakeSocket.last.sent, [{ t: "hello", v: [1], token: "r1.old" }]);
  FakeSocket.last.hears({ t: "error", code: "token_expired", message: "" });
  FakeSocket.last.opens();
  assert.deepEqual(FakeSocket.last.sent, [{ t: "hello", v: [1] }]);
  // when
  FakeSocket.last.hears(welcome());
  signaling.renew("p1.new");
  FakeSocket.last.opens();
  // then
  assert.deepEqual(FakeSocket.last.sent, [{ t: "hello", v: [1], token: "p1.new" }]);
  assert.deepEqual(told, ["token_expired"]);
});

test("a frame that comes twice is heard once", () => {
  const { seen } = begin();
  FakeSocket.last.hears(welcome());
  for (const n of [1, 1, 2]) FakeSocket.last.hears({ n, t: "peer_back", peer: "p" });
  assert.equal(seen.filter((what) => what === "peer_back").length, 2);
});

test("a session that cannot be resumed begins anew on the same socket", async () => {
  const { clock, signaling, seen } = begin();
  FakeSocket.last.hears(welcome());
  FakeSocket.last.hears({ n: 5, t: "room", locked: false, cap: 4, host: "p" });
  const lost = signaling.request({ t: "leave" });
  FakeSocket.last.breaks();
  await clock.advance(500);
  FakeSocket.last.opens();
  FakeSocket.last.hears({ t: "error", code: "resume_failed", message: "over" });
  assert.deepEqual(FakeSocket.last.sent[1], { t: "hello", v: [1] });
  FakeSocket.last.hears(welcome());
  FakeSocket.last.hears({ n: 1, t: "peer_back", peer: "p" });
  await assert.rejects(lost, { code: "session_lost" });
  assert.deepEqual(seen.slice(-3), ["state up", "begun", "peer_back"]);
});

test("it waits twice as long after each failure, up to 15 seconds, and by chance half as long", async () => {
  assert.deepEqual([0, 1, 2, 4, 5, 30].map((attempt) => backoff(attempt, () => 1)), [500, 1000, 2000, 8000, 15000, 15000]);
  assert.equal(backoff(0, () => 0), 250);
  const { clock } = begin();
  FakeSocket.last.breaks();
  await clock.advance(500);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.breaks();
  await clock.advance(999);
  assert.equal(FakeSocket.all.length, 2);
  await clock.advance(1);
  assert.equal(FakeSocket.all.length, 3);
});

test("it does not come back when it is not wanted", async () => {
  for (const code of [4400, 4401, 4403, 4409]) {
    const { clock, signaling, seen } = begin();
    FakeSocket.last.hears(welcome());
    FakeSocket.last.breaks(code);
    await clock.advance(60_000);
    assert.equal(FakeSocket.all.length, 1);
    assert.equal(seen.at(-1), `closed ${code}`);
    await assert.rejects(signaling.request({ t: "ice" }), { code: "closed" });
  }
});

test("when the server goes away, it comes back when it was told to, with or without its session", async () => {
  for (const [action, hello] of [["rejoin", { t: "hello", v: [1] }], ["resume", { t: "hello", v: [1], resume: "token", last: 0 }]]) {
    const { clock } = begin();
    FakeSocket.last.hears(welcome());
    FakeSocket.last.hears({ t: "goaway", action, after_ms: 1700 });
    FakeSocket.last.breaks(1001);
    await clock.advance(1699);
    assert.equal(FakeSocket.all.length, 1);
    await clock.advance(1);
    FakeSocket.last.opens();
    assert.deepEqual(FakeSocket.last.sent, [hello]);
  }
});

test("a server that says stop is left alone", async () => {
  const { clock, signaling } = begin();
  FakeSocket.last.hears(welcome());
  FakeSocket.last.hears({ t: "goaway", action: "stop", after_ms: 0 });
  FakeSocket.last.breaks(1001);
  await clock.advance(60_000);
  assert.deepEqual([FakeSocket.all.length, signaling.state], [1, "closed"]);
});

test("a socket that does not answer a ping is given up and opened anew", async () => {
  const { clock, signaling } = begin();
  FakeSocket.last.hears(welcome());
  await clock.advance(15_000);
  assert.equal(FakeSocket.last.sent.at(-1).t, "ping");
  FakeSocket.last.hears({ t: "pong" });
  assert.equal(signaling.rtt, 0);
  await clock.advance(15_000 + 5_000);
  assert.equal(signaling.state, "down");
  await clock.advance(500);
  assert.equal(FakeSocket.all.length, 2);
});

test("after a change of the network it looks at once", async () => {
  const { clock, signaling } = begin();
  FakeSocket.last.hears(welcome());
  signaling.probe();
  assert.equal(FakeSocket.last.sent.at(-1).t, "ping");
  FakeSocket.last.breaks();
  signaling.probe();
  assert.equal(FakeSocket.all.length, 2, "no waiting");
  await settled();
  assert.equal(clock.now(), 0);
});

test("whoever leaves says goodbye", () => {
  const { signaling } = begin();
  FakeSocket.last.hears(welcome());
  signaling.close();
  assert.equal(FakeSocket.last.sent.at(-1).t, "bye");
  assert.equal(FakeSocket.last.closedWith, 1000);
});

test("of two attempts to connect only the last one counts", async () => {
  const { clock, signaling, seen } = begin();
  FakeSocket.last.hears(welcome());
  FakeSocket.last.breaks();
  signaling.probe();
  const first = FakeSocket.last;
  signaling.probe();
  const second = FakeSocket.last;
  assert.equal(first.closedWith, undefined);
  assert.equal(first.readyState, 3);
  second.opens();
  second.hears(welcome(true));
  first.opens();
  first.breaks(4408);
  second.hears({ t: "pong" });
  await clock.advance(1_000);
  assert.deepEqual([FakeSocket.all.length, signaling.state, seen.at(-1)], [3, "up", "state up"]);
});

test("whoever leaves while the server is away does not come back", async () => {
  const { clock, signaling, seen } = begin();
  FakeSocket.last.hears(welcome());
  FakeSocket.last.breaks();
  await clock.advance(500);
  signaling.close();
  FakeSocket.last.breaks();
  FakeSocket.last.opens();
  await clock.advance(60_000);
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.sent, seen.at(-1)], [2, [], "closed 1000"]);
});
