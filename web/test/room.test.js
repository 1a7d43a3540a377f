import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Refusal } from "../js/wire/protocol.js";
import { Room } from "../js/wire/room.js";
import { FakeClock, FakePeerConnection, settled } from "./fakes.js";

/** A session whose server answers what the test says. */
class FakeSignaling extends Emitter {
  asked = [];
  answers = {};
  isClosed = false;

  async request(message) {
    this.asked.push(message);
    const answer = this.answers[message.t] ?? { t: "ok" };
    if (answer instanceof Refusal) throw answer;
    return answer;
  }

  renew(token) {
    this.asked.push(token);
    this.emit("begun");
  }

  close() {
    this.isClosed = true;
  }

  probe() {}
}

const state = { mic: true, cam: true, screen: false, hand: false };
const info = (id, seq = 1) => ({ id, seq, name: id.toUpperCase(), state, away: false });
const joined = (...peers) => ({ t: "joined", room: "r", you: "me", host: "a", locked: false, cap: 4, peers, ice: { iceServers: [] }, host_token: "proof" });

function room(answer, extra = {}) {
  FakePeerConnection.all = [];
  const [signaling, clock] = [new FakeSignaling(), new FakeClock()];
  signaling.answers.join = answer;
  const it = new Room({ name: "r", key: "k", me: { name: "Me", state: { ...state } }, signaling, RTCPeerConnection: FakePeerConnection, tracks: () => ({ audio: null, video: null }), clock, ...extra });
  const seen = [];
  for (const event of ["joined", "waiting", "out"]) it.on(event, (what = "") => seen.push(`${event} ${what}`.trim()));
  for (const event of ["came", "left", "changed"]) it.on(event, ({ id }) => seen.push(`${event} ${id}`));
  return { it, signaling, clock, seen };
}

test("where names of the relay lead nowhere, its address is tried, once, and only by those who are not connected", async () => {
  const named = ["turn:h:3478?transport=udp", "turns:h:443?transport=tcp"];
  const literals = ["udp", "tcp"].map((transport) => `turn:198.51.100.10:3478?transport=${transport}`);
  // where http.literal_address is set, one of them is among the others
  const iceServers = [{ urls: [...named, literals[0]], username: "u", credential: "c" }];
  const { signaling, clock } = room({ ...joined(info("a"), info("b", 2)), ice: { iceServers, by_address: literals } }, { policy: "relay" });
  const urls = () => FakePeerConnection.all.map(({ configuration }) => configuration.iceServers[0].urls);
  signaling.emit("begun");
  await clock.advance(100);
  const [a, b] = FakePeerConnection.all;
  assert.deepEqual(urls(), [named, named]);
  // when: Safari 26.4 gathers nothing
  b.becomes("connected");
  a.onicecandidate({ candidate: null });
  await clock.advance(100);
  // then
  assert.deepEqual(urls().slice(2), [[...named, ...literals]]);
  FakePeerConnection.all.at(-1).onicecandidate({ candidate: null });
  await clock.advance(1_000);
  assert.equal(FakePeerConnection.all.length, 3);
});

test("whoever comes in makes the first offer before the call is drawn, and what happens meanwhile is told afterwards", async () => {
  const { it, signaling, seen } = room(joined(info("a"), info("b", 2)));
  const offered = [];
  it.on("joined", () => offered.push(signaling.asked.some(({ t, d }) => t === "signal" && d?.type === "offer")));
  signaling.emit("begun");
  await null;
  await null;
  signaling.emit("message", { t: "peer_left", peer: "b", reason: "left" });
  assert.deepEqual(seen, []);
  await settled();
  assert.deepEqual([offered, seen], [[true], ["joined", "came a", "came b", "left b"]]);
});

test("an offer that takes long keeps nobody out of the call", async () => {
  class Slow extends FakePeerConnection {
    setLocalDescription() {
      return new Promise(() => {});
    }
  }
  const { signaling, clock, seen } = room(joined(info("a")), { RTCPeerConnection: Slow });
  signaling.emit("begun");
  await settled();
  assert.deepEqual(seen, []);
  await clock.advance(300);
  assert.deepEqual(seen, ["joined", "came a"]);
});

test("whoever leaves while the first offer is made is told of nobody", async () => {
  const { it, signaling, seen } = room(joined(info("a")));
  signaling.emit("begun");
  await null;
  await null;
  it.leave();
  await settled();
  assert.deepEqual(seen, []);
});

test("a relay that answers under its name is not asked again by its address", async () => {
  const ice = { iceServers: [{ urls: ["turn:h:3478?transport=udp"] }], by_address: ["turn:198.51.100.10:3478?transport=udp"] };
  const { signaling, clock } = room({ ...joined(info("a")), ice }, { policy: "relay" });
  signaling.emit("begun");
  await clock.advance(100);
  const [a] = FakePeerConnection.all;
  a.onicecandidate({ candidate: { toJSON: () => ({ candidate: "candidate:1 1 udp 1 203.0.113.9 50000 typ relay raddr 0.0.0.0 rport 0" }) } });
  a.onicecandidate({ candidate: null });
  await clock.advance(1_000);
  assert.equal(FakePeerConnection.all.length, 1);
});

test("a newcomer shows key and name, and offers to everybody who is there", async () => {
  const { it, signaling, clock, seen } = room(joined(info("a"), info("b", 2)));
  signaling.emit("begun");
  await clock.advance(100);
  const [{ t, room: name, key }, ...signals] = signaling.asked;
  assert.deepEqual([t, name, key], ["join", "r", "k"]);
  assert.deepEqual(signals.map(({ t: type, to, e, d }) => [type, to, e, d.type]), [["signal", "a", 1, "offer"], ["signal", "b", 1, "offer"]]);
  assert.deepEqual(seen, ["joined", "came a", "came b"]);
  assert.equal(it.hostToken, "proof");
});

test("whoever wants to be relayed alone shows no other address from the first connection on", async () => {
  const { it, signaling, clock } = room(joined(info("a")), { policy: "relay" });
  signaling.emit("begun");
  await clock.advance(100);
  assert.deepEqual(FakePeerConnection.all.map(({ configuration }) => configuration.iceTransportPolicy), ["relay"]);
  it.setPolicy("all");
  await clock.advance(100);
  assert.equal(FakePeerConnection.all.at(-1).configuration.iceTransportPolicy, "all");
});

test("who changes their name is called by the new one, and the old one is said once", async () => {
  const { it, signaling } = room(joined(info("a")));
  const renamed = [];
  it.on("renamed", ({ name }, before) => renamed.push([before, name]));
  signaling.emit("begun");
  await settled();
  for (const name of ["A", "Ada", "Ada"]) signaling.emit("message", { t: "peer_state", peer: "a", name, state });
  assert.deepEqual(renamed, [["A", "Ada"]]);
  assert.equal(it.members.get("a").name, "Ada");
});

test("every connection, and each that replaces one, has the page's certificate", async () => {
  const { it, signaling, clock } = room(joined(info("a"), info("b", 2)), { certificates: ["certificate"] });
  signaling.emit("begun");
  await clock.advance(100);
  it.setPolicy("relay");
  await clock.advance(100);
  assert.deepEqual(FakePeerConnection.all.map(({ configuration }) => configuration.certificates), Array(4).fill(["certificate"]));
});

test("whoever is there waits for the newcomer's offer", async () => {
  const { signaling, clock, seen } = room(joined());
  signaling.emit("begun");
  await settled();
  signaling.emit("message", { t: "peer_joined", member: info("c", 2) });
  await clock.advance(100);
  assert.deepEqual([signaling.asked.length, FakePeerConnection.all.length, seen.at(-1)], [1, 0, "came c"]);
  signaling.emit("message", { t: "signal", from: "c", e: 1, d: { type: "offer", sdp: "" } });
  await clock.advance(100);
  assert.equal(signaling.asked.at(-1).d.type, "answer");
});

test("a member who is away keeps its connection; one who has left does not", async () => {
  const { it, signaling } = room(joined(info("a")));
  signaling.emit("begun");
  await settled();
  signaling.emit("message", { t: "peer_away", peer: "a" });
  assert.deepEqual([it.members.get("a").away, FakePeerConnection.all[0].signalingState === "closed"], [true, false]);
  signaling.emit("message", { t: "peer_left", peer: "a", reason: "left" });
  assert.deepEqual([it.members.size, FakePeerConnection.all[0].signalingState], [0, "closed"]);
});

test("after a session that was lost everybody is somebody new, and the creator proves to be it", async () => {
  const { signaling, seen } = room(joined(info("a")));
  signaling.emit("begun");
  await settled();
  signaling.answers.join = joined(info("x"));
  signaling.emit("begun");
  await settled();
  assert.deepEqual(seen, ["joined", "came a", "left a", "joined", "came x"]);
  assert.equal(signaling.asked.filter(({ t }) => t === "join").at(-1).host_token, "proof");
});

test("a refusal to let in is said once, and the socket is closed", async () => {
  for (const code of ["room_full", "room_locked", "bad_key", "kicked"]) {
    const { signaling, seen } = room(new Refusal({ code }));
    signaling.emit("begun");
    await settled();
    signaling.emit("closed", 4403);
    assert.deepEqual([seen, signaling.isClosed], [[`out ${code}`], true]);
  }
});

test("whoever comes too often waits as long as asked, and tries again", async () => {
  const { signaling, clock, seen } = room(new Refusal({ code: "rate_limited", retry_after_ms: 3000 }));
  signaling.emit("begun");
  await settled();
  signaling.answers.join = joined();
  await clock.advance(3000);
  assert.deepEqual(seen, ["joined"]);
});

test("a long wait is told; whoever was in the room waits for it", async () => {
  const late = () => new Refusal({ code: "rate_limited", retry_after_ms: 40_000 });
  const outside = room(late());
  outside.signaling.emit("begun");
  await settled();
  assert.deepEqual(outside.seen, ["out rate_limited"]);
  const inside = room(joined());
  inside.signaling.emit("begun");
  await settled();
  for (const code of ["rate_limited", "room_full", "server_full"]) {
    inside.signaling.answers.join = new Refusal({ code });
    inside.signaling.emit("begun");
    await settled();
  }
  inside.signaling.emit("refused", new Refusal({ code: "server_full" }));
  assert.deepEqual(inside.seen, ["joined"]);
});

test("who was to try again, and is in by then, does not try", async () => {
  const { signaling, clock } = room(joined(info("a")));
  signaling.emit("begun");
  await settled();
  signaling.answers.join = new Refusal({ code: "room_full" });
  signaling.emit("begun");
  await settled();
  signaling.answers.join = joined(info("a"));
  signaling.emit("begun");
  await clock.advance(60_000);
  assert.equal(signaling.asked.filter(({ t }) => t === "join").length, 3);
});

test("a knock waits for the host, who opens or does not", async () => {
  for (const [answer, end] of [[joined(), "joined"], [null, "out knock_denied"]]) {
    const { signaling, seen } = room({ t: "waiting", you: "me" });
    signaling.emit("begun");
    await settled();
    if (answer) signaling.emit("message", answer);
    else signaling.emit("refused", new Refusal({ code: "knock_denied" }));
    assert.deepEqual(seen, ["waiting", end]);
  }
});

test("the reasons for being out are told apart", () => {
  for (const [code, reason] of [[4401, "unauthorized"], [4403, "kicked"], [4409, "replaced"], [4400, "stopped"]]) {
    const { signaling, seen } = room(joined());
    signaling.emit("closed", code);
    assert.deepEqual(seen, [`out ${reason}`]);
  }
  const { signaling, seen } = room(joined());
  signaling.emit("message", { t: "kicked", reason: "ended" });
  signaling.emit("closed", 4403);
  assert.deepEqual(seen, ["out ended"]);
});

test("whoever switches too fast is seen as they are in the end", async () => {
  const { it, signaling, clock } = room(joined());
  signaling.answers.state = new Refusal({ code: "rate_limited", retry_after_ms: 200 });
  it.show({ mic: false });
  await settled();
  signaling.answers.state = { t: "ok" };
  it.me.state.cam = false;
  await clock.advance(200);
  assert.deepEqual(signaling.asked.at(-1), { t: "state", mic: false, cam: false, screen: false, hand: false });
});

test("a room that does not exist is asked for again with a token that may create it", async () => {
  const { signaling, seen } = room(new Refusal({ code: "room_not_found" }), { askToken: async () => "p1.token" });
  signaling.emit("begun");
  signaling.answers.join = joined();
  await settled();
  assert.deepEqual(signaling.asked.map((it) => it.t ?? it), ["join", "p1.token", "join"]);
  assert.deepEqual(seen, ["joined"]);
});

test("without such a token, a room that does not exist is the end", async () => {
  for (const askToken of [undefined, async () => ""]) {
    const { signaling, seen } = room(new Refusal({ code: "room_not_found" }), { askToken });
    signaling.emit("begun");
    await settled();
    assert.deepEqual(seen, ["out room_not_found"]);
  }
});

test("after a restart of the server, guests wait for somebody who may open the room again", async () => {
  const asked = [];
  const { signaling, seen, clock } = room(joined(), { askToken: async () => (asked.push("password"), "") });
  signaling.emit("begun");
  await settled();
  signaling.answers.join = new Refusal({ code: "room_not_found" });
  signaling.emit("begun");
  await clock.advance(20_000);
  assert.deepEqual([seen, asked], [["joined"], []]);
  signaling.answers.join = joined();
  await clock.advance(3_000);
  assert.deepEqual(seen, ["joined", "joined"]);
  // when: nobody comes who may
  signaling.answers.join = new Refusal({ code: "room_not_found" });
  signaling.emit("begun");
  await clock.advance(60_000);
  // then
  assert.deepEqual([seen.at(-1), asked], ["out room_not_found", ["password"]]);
});
