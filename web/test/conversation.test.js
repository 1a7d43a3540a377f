import assert from "node:assert/strict";
import { test } from "node:test";

import { Conversation } from "../js/wire/conversation.js";
import { Emitter } from "../js/wire/emitter.js";
import { CHUNK, Incoming, piece, pictureIn, readPiece, safeName, sendFile } from "../js/wire/files.js";
import { FakeClock, channelPair, settled } from "./fakes.js";

/** Two people, A and B, with a channel between them. */
function two() {
  const channels = channelPair();
  const clock = new FakeClock();
  const sides = ["b", "a"].map((other, i) => {
    const member = { id: other, name: other.toUpperCase(), peer: Object.assign(new Emitter(), { state: "connected" }) };
    const room = Object.assign(new Emitter(), { members: new Map([[other, member]]), said: [], say: (...args) => room.said.push(args) });
    const conversation = new Conversation(room, clock);
    const [chat, transfers] = [[], []];
    conversation.on("chat", (by, text) => chat.push(`${by.name}: ${text}`));
    conversation.on("transfer", (transfer, isNew) => isNew && transfers.push(transfer));
    room.emit("came", member);
    const open = (channel = channels[i]) => member.peer.emit("channel", channel);
    return { room, member, conversation, chat, transfers, channel: channels[i], open };
  });
  return { a: sides[0], b: sides[1], clock };
}

/** Both have opened it. */
function connected() {
  const both = two();
  both.a.open();
  both.b.open();
  return both;
}

/** A offers a file, and B knows of it. */
async function offering(sent) {
  const both = connected();
  both.a.conversation.offer(sent);
  await settled();
  return both;
}

function file(size, name = "holiday.jpg") {
  const bytes = new Uint8Array(size).map((_, i) => i % 251);
  return Object.assign(new Blob([bytes]), { name });
}

const until = async (is) => {
  for (let i = 0; i < 50_000 && !is(); i += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(is());
};

/** What a side has asked the server to pass on reaches the other one. */
function serve(from, to) {
  for (const [kind, body] of from.room.said.splice(0)) to.room.emit("msg", to.member, kind, body);
}

test("chat goes over the channel, and over the server while there is none", async () => {
  const { a, b } = two();
  a.conversation.say("hello");
  serve(a, b);
  a.open();
  b.open();
  a.conversation.say("<b>again</b>");
  await settled();
  assert.deepEqual(b.chat, ["A: hello", "A: <b>again</b>"]);
  assert.deepEqual(a.room.said, []);
});

test("another part of the page hears of a new channel, and says what it likes to the same part of another page", async () => {
  const { a, b } = two();
  const [open, notes] = [[], []];
  a.conversation.on("open", ({ id }) => open.push(id));
  b.conversation.on("note", ({ id }, note) => notes.push(id, note));
  a.conversation.tell({ t: "wave" });
  a.open();
  b.open();
  a.conversation.tell({ t: "wave", n: 1 });
  a.conversation.tell({ t: "wave", n: 2 }, "nobody");
  a.channel.send('{"t":5}');
  a.channel.send("null");
  await settled();
  assert.deepEqual([open, notes], [["b"], ["a", { t: "wave", n: 1 }]]);
});

test("chat goes over the server while the connection is broken, which may be built anew and lose what waits in it", () => {
  for (const state of ["disconnected", "failed"]) {
    const { a, b } = connected();
    a.member.peer.state = state;
    a.conversation.say("still\n there?");
    assert.equal(a.channel.sent, 0);
    serve(a, b);
    assert.deepEqual(b.chat, ["A: still\n there?"]);
  }
});

test("a line that was on its way when the connection broke is heard before the next, and once", async () => {
  for (const ends of [
    (a) => a.member.peer.emit("state", (a.member.peer.state = "disconnected")),
    (a) => a.member.peer.emit("state", (a.member.peer.state = "new")),
    (a) => ((a.channel.readyState = "closed"), a.channel.onclose()),
  ]) {
    const { a, b } = connected();
    a.conversation.say("one");
    await settled();
    await settled();
    // given: neither what A says arrives any more, nor that B has heard it
    b.channel.send = () => {};
    a.conversation.say("two");
    await settled();
    b.channel.readyState = "closed";
    a.conversation.say("three");
    // when
    ends(a);
    a.conversation.say("four");
    serve(a, b);
    // then
    assert.deepEqual(b.chat, ["A: one", "A: two", "A: three", "A: four"]);
  }
});

test("who does not listen to the channel hears a line over the server after two seconds, and the next ones at once", async () => {
  // given
  const { a, clock } = connected();
  a.channel.far.onmessage = () => {};
  a.conversation.say("one");
  a.conversation.say("two");
  await clock.advance(1_999);
  assert.deepEqual(a.room.said, []);
  // when
  await clock.advance(1);
  // then
  assert.deepEqual(a.room.said.splice(0), [["line", "1 one", "b"], ["line", "2 two", "b"]]);
  a.conversation.say("three");
  assert.deepEqual(a.room.said.splice(0), [["line", "3 three", "b"]]);
  await clock.advance(60_000);
  assert.deepEqual([a.room.said, a.channel.sent], [[], 2]);
});

test("a line that both ways bring is heard once, and in order, and the channel is trusted again", async () => {
  // given: what B says of having heard is late
  const { a, b, clock } = connected();
  const late = [];
  const { send } = b.channel;
  b.channel.send = (text) => late.push(text);
  a.conversation.say("one");
  await clock.advance(2_000);
  a.conversation.say("two");
  serve(a, b);
  // when
  b.channel.send = send;
  for (const text of late) b.channel.send(text);
  await settled();
  a.conversation.say("three");
  await clock.advance(60_000);
  // then
  assert.deepEqual(b.chat, ["A: one", "A: two", "A: three"]);
  assert.deepEqual(a.room.said, []);
});

test("on another channel a member is not taken for one who does not listen", async () => {
  // given
  const { a, b, clock } = connected();
  a.channel.far.onmessage = () => {};
  a.conversation.say("one");
  await clock.advance(2_000);
  serve(a, b);
  // when
  const next = channelPair();
  a.open(next[0]);
  b.open(next[1]);
  a.conversation.say("two");
  await clock.advance(60_000);
  // then
  assert.deepEqual([b.chat, a.room.said], [["A: one", "A: two"], []]);
});

test("who leaves before a line was heard is not written to any more", async () => {
  const { a, clock } = connected();
  a.channel.far.onmessage = () => {};
  a.conversation.say("one");
  a.room.members.delete("b");
  a.room.emit("left", a.member, "left");
  await clock.advance(60_000);
  assert.deepEqual(a.room.said, []);
});

test("a line that the server brings late is heard late", async () => {
  const { a, b } = connected();
  a.member.peer.state = "disconnected";
  a.conversation.say("one");
  a.member.peer.state = "connected";
  a.conversation.say("two");
  await settled();
  serve(a, b);
  assert.deepEqual(b.chat, ["A: two", "A: one"]);
});

test("a member whose channel takes nothing is told over the server, and the others as ever", async () => {
  // given
  const { a, b } = connected();
  const carol = { id: "c", name: "C", peer: Object.assign(new Emitter(), { state: "connected" }) };
  a.room.members = new Map([["c", carol], ...a.room.members]);
  a.room.emit("came", carol);
  const [deaf] = channelPair();
  deaf.send = () => {
    throw new TypeError("max-message-size");
  };
  carol.peer.emit("channel", deaf);
  // when
  a.conversation.say("hello");
  a.conversation.offer(file(1));
  await settled();
  // then
  assert.deepEqual(b.chat, ["A: hello"]);
  assert.deepEqual(a.room.said, [["line", "1 hello", "c"]]);
  assert.deepEqual(a.transfers.map(({ peer, stage }) => [peer, stage]), [["c", "off"], ["b", "offered"]]);
});

test("what cannot be acknowledged is heard all the same", async () => {
  const { a, b } = connected();
  b.channel.send = () => {
    throw new DOMException("", "InvalidStateError");
  };
  a.conversation.say("good-bye");
  await settled();
  assert.deepEqual(b.chat, ["A: good-bye"]);
});

test("whoever has an older page, or another client, is heard", async () => {
  const { a, b } = connected();
  a.channel.send('{"t":"chat","text":"old"}');
  await settled();
  b.room.emit("msg", b.member, "chat", "7 other");
  assert.deepEqual(b.chat, ["A: old", "A: 7 other"]);
});

test("a file that is accepted arrives whole, in small pieces, never too much at once", async () => {
  const { a, b } = connected();
  const sent = file(5_000_000);
  a.conversation.offer(sent);
  await settled();
  const [incoming] = b.transfers;
  assert.deepEqual([incoming.name, incoming.size, incoming.stage], ["holiday.jpg", 5_000_000, "offered"]);
  b.conversation.accept(incoming);
  await until(() => incoming.stage === "done" && a.transfers[0].stage === "done");
  assert.deepEqual(new Uint8Array(await incoming.file.arrayBuffer()), new Uint8Array(await sent.arrayBuffer()));
  assert.equal(a.channel.biggest, CHUNK);
  assert.ok(a.channel.most <= 1024 * 1024 + CHUNK, `${a.channel.most}`);
});

test("an empty file arrives, too", async () => {
  const { a, b } = await offering(file(0));
  b.conversation.accept(b.transfers[0]);
  await until(() => a.transfers[0].stage === "done");
  assert.equal(b.transfers[0].file.size, 0);
});

test("either side may call it off", async () => {
  for (const who of ["a", "b"]) {
    const both = await offering(file(3_000_000));
    both.b.conversation.accept(both.b.transfers[0]);
    await until(() => both.b.transfers[0].moved > 100_000);
    both[who].conversation.callOff(both[who].transfers[0]);
    await until(() => both.a.transfers[0].stage === "off" && both.b.transfers[0].stage === "off");
    assert.equal(both.b.transfers[0].file, undefined);
  }
});

test("each side knows why a file does not come", async () => {
  const ends = {
    declined: ({ b }) => b.conversation.callOff(b.transfers[0]),
    stopped: ({ a, b }) => a.conversation.callOff(a.transfers[0]) ?? b,
    lost: ({ a, b }) => [a, b].forEach(({ member, room }) => room.emit("left", member, "left")),
    many: ({ a, b }) => a.channel.onmessage({ data: JSON.stringify({ t: "refuse", id: b.transfers[0].id, why: "many" }) }),
  };
  const seen = {};
  for (const [name, end] of Object.entries(ends)) {
    const both = await offering(file(10));
    end(both);
    await settled();
    seen[name] = [both.a, both.b].map(({ transfers: [{ why }] }) => why);
  }
  assert.deepEqual(seen, { declined: ["declined", "cancelled"], stopped: ["cancelled", "stopped"], lost: ["lost", "lost"], many: ["many", undefined] });
});

test("only what begins like a picture is shown as one", async () => {
  const types = [];
  for (const start of ["\x89PNG\r\n\x1a\n", "\xff\xd8\xff\xe0", "GIF89a", "RIFF\0\0\0\0WEBP", "<svg>", "", "RIFF"]) {
    types.push((await pictureIn(new Blob([Uint8Array.from(start, (it) => it.charCodeAt(0)), "rest"])))?.type);
  }
  assert.deepEqual(types, ["image/png", "image/jpeg", "image/gif", "image/webp", undefined, undefined, undefined]);
  assert.equal(await pictureIn({ size: 2 ** 30 }), null);
});

test("what is over cannot be called off", async () => {
  // given
  const { a, b } = await offering(file(10));
  b.conversation.accept(b.transfers[0]);
  await until(() => a.transfers[0].stage === "done");
  const { sent } = b.channel;
  // when
  b.conversation.callOff(b.transfers[0]);
  // then
  assert.deepEqual([b.transfers[0].stage, b.channel.sent], ["done", sent]);
});

test("a member who leaves takes its transfers along", async () => {
  const { a, b } = await offering(file(10));
  b.room.emit("left", b.member, "left");
  assert.equal(b.transfers[0].stage, "off");
});

test("a connection that is given up takes its transfers along, and the next one brings others", async () => {
  for (const rebuilt of [({ member }) => member.peer.emit("state", "new"), ({ open }, channel) => open(channel)]) {
    // given
    const { a, b } = await offering(file(3_000_000));
    b.conversation.accept(b.transfers[0]);
    await until(() => a.channel.bufferedAmount > 1024 * 1024);
    // when
    const next = channelPair();
    for (const [i, side] of [a, b].entries()) {
      side.channel.close();
      rebuilt(side, next[i]);
    }
    // then
    assert.deepEqual([a.transfers[0].stage, b.transfers[0].stage], ["off", "off"]);
    a.open(next[0]);
    b.open(next[1]);
    a.conversation.offer(file(10));
    await settled();
    b.conversation.accept(b.transfers[1]);
    await until(() => a.transfers[1].stage === "done");
    assert.equal(next[0].sent, 2);
  }
});

test("a sender does not wait for a channel that is given up", async () => {
  // given
  const [channel] = channelPair();
  const given = new AbortController();
  const sending = sendFile({ channel, id: 1, file: file(3_000_000), progress: () => {}, signal: given.signal });
  await until(() => channel.bufferedAmount > 1024 * 1024);
  // when
  channel.close();
  given.abort();
  // then
  await sending;
});

test("a file whose channel closes while it is read is called off", async () => {
  // given
  const { a, b } = connected();
  let read;
  const slice = () => ({ arrayBuffer: () => new Promise((resolve) => (read = resolve)) });
  a.conversation.offer(Object.assign(file(10), { slice }));
  await settled();
  b.conversation.accept(b.transfers[0]);
  await until(() => read);
  // when
  a.channel.close();
  read(new ArrayBuffer(10));
  // then
  await until(() => a.transfers[0].stage === "off");
});

test("more than was announced is refused", () => {
  const incoming = new Incoming(3);
  assert.ok(incoming.take(new Uint8Array(3)) && incoming.isWhole);
  assert.ok(!incoming.take(new Uint8Array(1)));
});

test("a piece with nothing in it calls the file off", async () => {
  // given
  const { a, b } = await offering(file(10));
  b.conversation.accept(b.transfers[0]);
  // when
  a.channel.send(piece(b.transfers[0].id, new Uint8Array(0)));
  // then
  await settled();
  assert.equal(b.transfers[0].stage, "off");
});

test("a piece is not kept as it came, so that many small ones weigh no more than few large ones", async () => {
  for (const length of [100, 16_380, 2_500_000]) {
    // given
    const sent = new Uint8Array(await file(3_000_000).arrayBuffer());
    const incoming = new Incoming(sent.length);
    // when
    for (let at = 0; at < sent.length; at += length) {
      const payload = sent.slice(at, at + length);
      assert.ok(incoming.take(payload));
      payload.fill(0);
    }
    // then
    assert.ok(incoming.isWhole);
    assert.deepEqual(new Uint8Array(await incoming.blob().arrayBuffer()), sent);
  }
});

test("who writes faster than anybody reads is heard in part", async () => {
  // given
  const { a, b, clock } = connected();
  const flood = async () => {
    for (let i = 0; i < 100; i += 1) a.conversation.say("spam");
    await settled();
  };
  // when, then
  await flood();
  assert.equal(b.chat.length, 30);
  await clock.advance(1_000);
  await flood();
  assert.equal(b.chat.length, 40);
  b.room.emit("msg", b.member, "chat", "and over the server");
  b.room.emit("msg", b.member, "line", "900 and over the server");
  assert.equal(b.chat.length, 40);
  await clock.advance(60_000);
  await flood();
  assert.equal(b.chat.length, 70);
});

test("who offers files and calls them off again and again is refused", async () => {
  // given
  const { a, b, clock } = connected();
  const loop = async () => {
    for (let i = 0; i < 100; i += 1) {
      a.conversation.offer(file(1));
      a.conversation.callOff(a.transfers.at(-1));
    }
    await settled();
  };
  // when, then
  await loop();
  assert.equal(b.transfers.length, 20);
  await clock.advance(3_000);
  await loop();
  assert.equal(b.transfers.length, 23);
});

test("nonsense on the channel does nothing", async () => {
  const { a, b } = connected();
  for (const nonsense of ["", "{", "null", "7", '{"t":"sing"}', '{"t":"file","id":-1,"name":"x","size":1}', '{"t":"file","id":1,"name":"x","size":1e300}', '{"t":"done","id":9}', '{"t":"chat","id":{"valueOf":1},"text":"x"}', '{"t":"chat","id":0,"text":"x"}', '{"t":"chat","id":1,"text":{}}', '{"t":"heard"}', '{"t":"heard","id":{"toString":1}}']) {
    a.channel.send(nonsense);
  }
  for (const nonsense of ["", "hello", "1", "-1 x", "0 x", "1e3 x", `${"9".repeat(20)} x`]) b.room.emit("msg", b.member, "line", nonsense);
  a.channel.send(new Uint8Array(2));
  a.channel.send(piece(99, new Uint8Array(5)));
  await settled();
  await settled();
  assert.deepEqual([b.transfers, b.chat], [[], []]);
});

test("a piece is read as it was written", () => {
  const { id, payload } = readPiece(piece(0xfffffffe, new Uint8Array([1, 2, 3])).buffer);
  assert.deepEqual([id, [...payload]], [0xfffffffe, [1, 2, 3]]);
});

test("a name cannot lead elsewhere or pretend to be another kind of file", () => {
  for (const [given, safe] of [
    ["../../etc/passwd", "passwd"],
    ["C:\\Windows\\win.ini", "win.ini"],
    ["photo\u202Egpj.exe", "photogpj.exe"],
    ["a\u0000b\n.txt", "ab.txt"],
    [".bashrc", "bashrc"],
    ["한글 문서.pdf", "한글 문서.pdf"],
    ["", "file"],
    ["...", "file"],
    [null, "null"],
    [`${"x".repeat(300)}.tar`, `${"x".repeat(116)}.tar`],
  ]) assert.equal(safeName(given), safe);
});
