import assert from "node:assert/strict";
import { test } from "node:test";

import { cannotLookUp, hasLiterals, withLiterals, withoutLiterals } from "../js/wire/literals.js";

const STUN = { urls: ["stun:h:3478"] };
const NAMED = "turn:h:3478?transport=udp";
const LITERALS = ["turn:198.51.100.10:3478?transport=udp", "turn:[2001:db8::5]:3478?transport=udp"];

test("a URL with an address waits until those with a name have brought nothing", () => {
  for (const literal of LITERALS) {
    const relay = { urls: [NAMED, "turns:h:443?transport=tcp", literal], username: "u", credential: "c" };
    assert.deepEqual(withoutLiterals([STUN, relay]), [STUN, { ...relay, urls: relay.urls.slice(0, 2) }]);
  }
});

test("where the server has no name, its address is used from the start", () => {
  for (const urls of [LITERALS, LITERALS[0]]) assert.deepEqual(withoutLiterals([STUN, { urls }]), [STUN, { urls }]);
  // A name that begins with digits is a name.
  assert.deepEqual(withoutLiterals([{ urls: "turn:10.example.org" }]), [{ urls: ["turn:10.example.org"] }]);
  assert.deepEqual(withoutLiterals([]), []);
});

test("what the server gives by address goes among the URLs that have the credential, once", () => {
  const relay = { urls: [NAMED], username: "u", credential: "c" };
  const all = [STUN, { ...relay, urls: [NAMED, ...LITERALS] }];
  assert.deepEqual(withLiterals({ iceServers: [STUN, relay], by_address: LITERALS }), all);
  assert.deepEqual(withLiterals({ iceServers: [STUN, { ...relay, urls: NAMED }], by_address: LITERALS }), all);
  assert.deepEqual(withLiterals({ iceServers: [STUN, { ...relay, urls: [NAMED, LITERALS[0]] }], by_address: LITERALS }), all);
  // An older server gives none; and STUN has no credential.
  for (const iceServers of [[STUN, relay], [STUN], []]) assert.deepEqual(withLiterals({ iceServers }), iceServers);
  assert.deepEqual(withLiterals({ iceServers: [STUN], by_address: LITERALS }), [STUN]);
});

test("something is kept back if there is an address beside a name, wherever the server has put it", () => {
  const given = (urls, by_address) => hasLiterals({ iceServers: [STUN, { urls }], by_address });
  assert.deepEqual([given([NAMED], LITERALS), given([NAMED, LITERALS[0]]), given([NAMED, LITERALS[0]], [LITERALS[0]])], [true, true, true]);
  assert.deepEqual([given([NAMED]), given(LITERALS), given([LITERALS[0]], [LITERALS[0]])], [false, false, false]);
  assert.equal(hasLiterals({ iceServers: [] }), false);
});

test("the Safari that cannot look names up is told from others", () => {
  const safari = (version) => `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version} Safari/605.1.15`;
  assert.deepEqual(["26.3", "26.4", "26.3.1", "26.2", "26.5", "26.40"].map((it) => cannotLookUp(safari(it))), [true, true, true, false, false, false]);
  assert.equal(cannotLookUp("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.4.0.0 Safari/537.36"), false);
});
