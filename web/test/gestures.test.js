import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Hands } from "../js/wire/hands.js";
import { Reactions } from "../js/wire/reactions.js";
import { FakeClock } from "./fakes.js";

function call() {
  const me = { name: "Me", state: { hand: false } };
  const room = Object.assign(new Emitter(), { you: "me", host: "a", me, show({ hand }) {
    me.state.hand = hand;
    room.emit("me");
  } });
  const told = [];
  const conversation = Object.assign(new Emitter(), { tell: (...words) => told.push(words) });
  const clock = new FakeClock();
  const [a, b] = ["a", "b"].map((id) => ({ id, name: id.toUpperCase(), state: { hand: false } }));
  const becomes = (member, hand) => {
    member.state = { hand };
    room.emit("changed", member);
  };
  return { room, conversation, told, clock, a, b, becomes };
}

test("hands are in the order in which they were raised, one's own among them", () => {
  const { room, conversation, a, b, becomes } = call();
  const hands = new Hands(room, conversation);
  const raised = [];
  hands.on("raised", ({ name }) => raised.push(name));
  a.state.hand = true;
  for (const member of [a, b]) room.emit("came", member);
  hands.raise(true);
  becomes(b, true);
  becomes(b, true);
  assert.deepEqual(["a", "me", "b"].map((id) => hands.place(id)), [1, 2, 3]);
  // Who had raised it before one came is not announced.
  assert.deepEqual(raised, ["B"]);
  // when
  becomes(a, false);
  hands.raise(false);
  assert.deepEqual(["a", "me", "b"].map((id) => hands.place(id)), [0, 0, 1]);
  room.emit("left", b);
  assert.equal(hands.place("b"), 0);
});

test("the host may have a hand lowered, and nobody else", () => {
  const { room, conversation, told, a, b } = call();
  const hands = new Hands(room, conversation);
  let lowered = 0;
  hands.on("lowered", () => (lowered += 1));
  hands.raise(true);
  conversation.emit("note", b, { t: "lower" });
  assert.equal(hands.place("me"), 1);
  conversation.emit("note", a, { t: "lower" });
  conversation.emit("note", a, { t: "lower" });
  assert.deepEqual([hands.place("me"), lowered, room.me.state.hand], [0, 1, false]);
  hands.lower("b");
  assert.deepEqual(told, [[{ t: "lower" }, "b"]]);
});

test("a reaction is seen by everybody; one that is not known, or one too many, by nobody", async () => {
  const { room, conversation, told, clock, a } = call();
  const reactions = new Reactions(room, conversation, clock);
  const seen = [];
  reactions.on("reaction", (member, sign) => seen.push([member?.name, sign]));
  room.emit("came", a);
  reactions.react("👍");
  assert.deepEqual([told, seen], [[[{ t: "reaction", sign: "👍" }]], [[undefined, "👍"]]]);
  for (const sign of ["🎉", "<b>", "toString", 5]) conversation.emit("note", a, { t: "reaction", sign });
  assert.deepEqual(seen.splice(0), [[undefined, "👍"], ["A", "🎉"]]);
  // when
  for (let i = 0; i < 20; i += 1) conversation.emit("note", a, { t: "reaction", sign: "👏" });
  for (let i = 0; i < 20; i += 1) reactions.react("👏");
  // then
  assert.deepEqual([seen.length, told.length], [4 + 4, 1 + 4]);
  await clock.advance(1000);
  conversation.emit("note", a, { t: "reaction", sign: "👏" });
  assert.equal(seen.length, 9);
});
