import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Safety, printsOf } from "../js/wire/safety.js";
import { SIGNS } from "../js/wire/signs.js";
import { FakeClock, settled } from "./fakes.js";

const subtle = { digest: async (_, bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()).buffer };
const random = (bytes) => globalThis.crypto.getRandomValues(bytes);
const sdp = (...prints) => ({ sdp: ["v=0", ...prints.map((print) => `a=fingerprint:sha-256 ${print}`), ""].join("\r\n") });
/** One end of a connection between two keys. */
function end(ours, theirs, means = subtle) {
  const room = new Emitter();
  const member = { id: "other", peer: { pc: { localDescription: sdp(ours), remoteDescription: sdp(theirs) } } };
  const said = [];
  const conversation = Object.assign(new Emitter(), { tell: (note) => said.push(note) });
  const safety = new Safety({ room, conversation, subtle: means, random, clock: new FakeClock() });
  const changes = [];
  safety.on("changed", () => changes.push(safety.of("other").standing));
  return {
    room, member, safety, said, changes,
    opens: () => conversation.emit("open", member),
    hears: (note) => conversation.emit("note", member, note),
    get number() {
      return safety.of("other").number;
    },
  };
}

/** What each says reaches the other, until nobody says any more. */
async function talk(a, b) {
  for (let turn = 0; turn < 6; turn += 1) {
    await settled();
    for (const note of a.said.splice(0)) b.hears(note);
    for (const note of b.said.splice(0)) a.hears(note);
  }
}

async function connect(a, b) {
  a.opens();
  b.opens();
  await talk(a, b);
}

test("both ends have the same number, of four signs and six groups of digits, and another one each time", async () => {
  const seen = [];
  for (let call = 0; call < 2; call += 1) {
    const [a, b] = [end("AA", "BB"), end("BB", "AA")];
    assert.equal(a.safety.of("other").standing, "none");
    await connect(a, b);
    assert.deepEqual([a, b].map(({ safety }) => safety.of("other").standing), ["known", "known"]);
    assert.deepEqual(a.number, b.number);
    assert.equal(a.number.signs.length, 4);
    assert.match(a.number.digits.join(" "), /^(\d{5} ){5}\d{5}$/);
    seen.push(a.number.digits.join());
  }
  assert.notEqual(seen[0], seen[1]);
});

test("a connection that is built anew with the same keys has the same number", async () => {
  const [a, b] = [end("AA", "BB"), end("BB", "AA")];
  await connect(a, b);
  const before = a.number;
  // An offer is out, and has no answer yet.
  a.member.peer.pc = { localDescription: sdp("AA"), remoteDescription: null };
  a.safety.check(a.member);
  a.member.peer.pc = { localDescription: sdp("AA"), remoteDescription: sdp("BB") };
  await connect(a, b);
  assert.deepEqual([a.number, b.number, a.safety.of("other").standing], [before, before, "known"]);
  // After a restart of the server, every member comes anew.
  a.room.emit("left", { id: "other" });
  await connect(a, b);
  assert.deepEqual([a.number, b.number, a.safety.of("other").standing], [before, before, "known"]);
});

test("a page that is not secure, and so cannot compute, has no numbers and says nothing", async () => {
  const { safety, member, said, opens, hears } = end("AA", "BB", null);
  opens();
  safety.check(member);
  hears({ t: "promise", hash: "0".repeat(64) });
  await settled();
  assert.deepEqual([safety.of("other"), said], [{ standing: "none" }, []]);
});

test("somebody in between, with keys of their own, has another number with each side", async () => {
  const [a, toA, toB, b] = [end("AA", "CC"), end("CC", "AA"), end("CC", "BB"), end("BB", "CC")];
  await connect(a, toA);
  await connect(b, toB);
  assert.deepEqual([a.safety.of("other").standing, b.safety.of("other").standing], ["known", "known"]);
  assert.notDeepEqual(a.number.signs, b.number.signs);
  assert.notDeepEqual(a.number.digits, b.number.digits);
});

test("somebody in between who only passes on what both say is noticed at once", async () => {
  const [a, b] = [end("AA", "CC"), end("BB", "CC")];
  await connect(a, b);
  assert.deepEqual([a, b].map(({ safety }) => safety.of("other")), [{ standing: "broken" }, { standing: "broken" }]);
  assert.deepEqual([a.changes, b.changes], [["broken"], ["broken"]]);
});

test("a secret is shown only for a promise, and the promise cannot be taken back", async () => {
  const a = end("AA", "BB");
  a.opens();
  await settled();
  assert.deepEqual(a.said.splice(0).map(({ t }) => t), ["promise"]);
  // when
  a.hears({ t: "secret", secret: "1".repeat(64) });
  a.hears({ t: "promise", hash: 5 });
  a.hears({ t: "promise", hash: "no hash" });
  await settled();
  // then
  assert.deepEqual([a.said, a.safety.of("other").standing], [[], "none"]);
  // when
  a.hears({ t: "promise", hash: "2".repeat(64) });
  await settled();
  assert.deepEqual(a.said.splice(0).map(({ t }) => t), ["secret"]);
  a.hears({ t: "promise", hash: "3".repeat(64) });
  await settled();
  // then
  assert.deepEqual([a.said, a.safety.of("other").standing], [[], "broken"]);
});

test("keys that change while the connection lasts are noticed, and bring another number", async () => {
  const [a, b, c] = [end("AA", "BB"), end("BB", "AA"), end("CC", "AA")];
  await connect(a, b);
  const before = a.number;
  // when
  a.member.peer.pc.remoteDescription = sdp("CC");
  a.safety.check(a.member);
  assert.deepEqual(a.changes.at(-1), "changed");
  c.opens();
  await talk(a, c);
  // then
  assert.deepEqual([a.safety.of("other").standing, a.number], ["changed", c.number]);
  assert.notDeepEqual(a.number, before);
  a.room.emit("left", { id: "other" });
  assert.equal(a.safety.of("other").standing, "none");
});

test("what is said before this side knows the keys counts as soon as it does", async () => {
  const [a, b] = [end("AA", "BB"), end("BB", "AA")];
  const answered = a.member.peer.pc.remoteDescription;
  a.member.peer.pc.remoteDescription = null;
  await connect(a, b);
  assert.equal(a.safety.of("other").standing, "none");
  // when
  a.member.peer.pc.remoteDescription = answered;
  a.safety.check(a.member);
  await talk(a, b);
  // then
  assert.equal(a.safety.of("other").standing, "known");
  assert.deepEqual(a.number, b.number);
});

test("a member who floods is not read for ever", async () => {
  const a = end("AA", "BB");
  a.opens();
  for (let i = 0; i < 500; i += 1) a.hears({ t: "promise", hash: "2".repeat(64) });
  await settled();
  assert.equal(a.said.length, 21);
});

test("fingerprints are the same in every writing and order, and there are none before both ends are known", () => {
  const two = { sdp: "a=fingerprint:SHA-256 aa:bb\r\nm=audio\r\na=fingerprint:sha-1 cc\r\na=fingerprint:sha-256 AA:BB\r\n" };
  assert.deepEqual(printsOf({ localDescription: two, remoteDescription: sdp("DD") }), { ours: "sha-1 CC,sha-256 AA:BB", theirs: "sha-256 DD" });
  for (const pc of [null, { localDescription: sdp("AA"), remoteDescription: null }, { localDescription: sdp("AA"), remoteDescription: sdp("AA") }]) assert.equal(printsOf(pc), null);
});

test("each byte has a sign of its own, with a name of its own in each language", () => {
  for (const part of ["sign", "en", "ko"]) assert.equal(new Set(SIGNS.map((it) => it[part])).size, 256);
});
