import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";

import { isRandom, newRoom, pathOf, roomAt, roomFrom, socketAt } from "../js/wire/link.js";
import { visibleName } from "../js/wire/name.js";

test("a new room cannot be guessed, and its link leads back to it", () => {
  const [one, two] = [newRoom(webcrypto), newRoom(webcrypto)];
  assert.ok(isRandom(one.name) && one.name !== two.name && one.name !== one.key);
  assert.deepEqual(roomAt(new URL(pathOf(one), "https://h")), one);
});

test("a link may hold what opens the room, behind the #", () => {
  const room = { name: "a", key: "", token: "r1.1.YQ.x-_" };
  assert.equal(pathOf(room), "/r/a#t=r1.1.YQ.x-_");
  assert.deepEqual(roomAt(new URL(pathOf(room), "https://h")), room);
  assert.deepEqual(roomAt(new URL(pathOf({ ...room, key: "k" }), "https://h")), { ...room, key: "k" });
});

test("any name survives the way through a link", () => {
  for (const name of ["team", "한글 방", "a?b#c%", "..x", "100 %"]) {
    const room = { name, key: "k&=+ y" };
    assert.deepEqual(roomAt(new URL(pathOf(room), "https://h")), room, name);
  }
});

test("the name of a room is the same from every keyboard", () => {
  assert.equal(roomFrom("\u1112\u1161\u11ab", "https://h").name, "한");
});

test("all of a name can be seen, and what joins its characters stays", () => {
  assert.equal(visibleName("  Ada\u200B \u202ELovelace\u2069\u3164 "), "Ada Lovelace");
  for (const nothing of ["", " ", "\u200B", "\uFEFF\u202E", "\u{E0041}"]) {
    assert.equal(visibleName(nothing), "");
    assert.equal(roomFrom(nothing, "https://h"), null);
  }
  for (const name of ["👩‍👩‍👧", "می‌خواهم", "❤️", "하나"]) assert.equal(visibleName(name), name);
  assert.equal(roomFrom("te\u200Bam", "https://h"), null);
});

test("what is typed is a link to here, or a name", () => {
  const here = "https://h";
  assert.deepEqual(roomFrom(" https://h/r/a#k=b ", here), { name: "a", key: "b" });
  assert.deepEqual(roomFrom("team", here), { name: "team", key: "" });
  for (const wrong of ["", "  ", "a/b", "..", "x".repeat(65), "https://elsewhere/r/a", "https://h/check", "https://"]) {
    assert.equal(roomFrom(wrong, here), null, wrong);
  }
});

test("an address that names no room is none", () => {
  for (const pathname of ["/r/", "/r/a/b", "/r/%", "/x/a"]) assert.equal(roomAt({ pathname, hash: "" }), null, pathname);
});

test("a site that is not at the root of its host has all its links below its path", () => {
  const room = { name: "a", key: "b" };
  assert.equal(pathOf(room, "/call/"), "/call/r/a#k=b");
  for (const path of ["/call/r/a#k=b", "/r/a/#k=b"]) assert.deepEqual(roomAt(new URL(path, "https://h"), "/call/"), room, path);
  for (const path of ["/other/r/a", "/call/call/r/a", "/call"]) assert.equal(roomAt(new URL(path, "https://h"), "/call/"), null, path);
  assert.deepEqual(roomFrom("https://h/call/r/a#k=b", "https://h", "/call/"), room);
  assert.equal(socketAt(new URL("https://h/call/r/a"), "/call/"), "wss://h/call/ws");
});

test("the rooms are spoken with over TLS where the page came over TLS", () => {
  assert.equal(socketAt(new URL("https://turn.example.org/r/a")), "wss://turn.example.org/ws");
  assert.equal(socketAt(new URL("http://localhost:8080/check")), "ws://localhost:8080/ws");
});
