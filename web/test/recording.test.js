import assert from "node:assert/strict";
import { test } from "node:test";

import { Emitter } from "../js/wire/emitter.js";
import { Recording } from "../js/wire/recording.js";

test("everybody is told that a recording runs, also whoever comes later, and it ends with whoever records", () => {
  const told = [];
  const [room, conversation] = [new Emitter(), Object.assign(new Emitter(), { tell: (...words) => told.push(words) })];
  const recording = new Recording(room, conversation);
  const seen = [];
  recording.on("changed", () => seen.push([recording.isOn, ...recording.names]));
  recording.on("began", ({ name }) => seen.push(name));
  const [a, b] = ["A", "B"].map((name) => ({ id: name.toLowerCase(), name }));
  conversation.emit("open", a);
  assert.deepEqual(told, []);
  // when
  recording.set(true);
  recording.set(true);
  conversation.emit("open", b);
  // then
  assert.deepEqual(told, [[{ t: "recording", on: true }, undefined], [{ t: "recording", on: true }, "b"]]);
  assert.deepEqual(seen.splice(0), [[true]]);
  // when
  for (const on of [true, true, "yes"]) conversation.emit("note", a, { t: "recording", on });
  recording.set(false);
  room.emit("left", a);
  room.emit("left", b);
  // then
  assert.deepEqual(seen, [[true, "A"], "A", [false, "A"], [false]]);
});
