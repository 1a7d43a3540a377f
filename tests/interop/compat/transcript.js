// Says the same to any PeerJS server, and prints what it answers as JSON: `node transcript.js http://HOST:PORT/peerjs ORIGIN`.
// Each step is an object of what each socket heard since the step began. A socket that was closed has its code at the end.

import { once } from "node:events";
import { createRequire } from "node:module";

const { WebSocket } = createRequire(`${process.env.COMPAT_NODE}/`)("ws");
const [base, origin] = process.argv.slice(2);
const EXPIRES = 8_000;
const SOON = 3_000;

/** @type {Record<string, object>} */
const transcript = {};

/** A client: what it has heard, in order. */
class Client {
  heard = [];
  #socket;

  /** @param {string} query */
  constructor(query) {
    this.#socket = new WebSocket(`${base.replace("http", "ws")}/peerjs?${query}`, { origin });
    this.#socket.on("message", (data) => this.heard.push(JSON.parse(data)));
    this.closed = once(this.#socket, "close").then(([code]) => this.heard.push(`closed ${code}`));
  }

  /** Until it is open, and has heard what the server says then. */
  async opened() {
    await once(this.#socket, "open");
    return this.settled();
  }

  /** Until the server has read all that this client sent, and this client what the server had sent until then. */
  async settled() {
    if (this.#socket.readyState !== WebSocket.OPEN) return this;
    const pong = once(this.#socket, "pong");
    this.#socket.ping();
    await Promise.race([pong, this.closed]);
    return this;
  }

  /** @param {unknown} message  JSON, or any text */
  say(message) {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  async close() {
    this.#socket.close();
    await this.closed;
  }
}

/** @param {string} id @param {string} token */
const client = (id, token) => new Client(`key=peerjs&id=${encodeURIComponent(id)}&token=${token}&version=1.5.5`).opened();

/** @param {Promise<unknown>} what @param {number} limit */
const atMost = (what, limit) => Promise.race([what, new Promise((over) => setTimeout(over, limit).unref())]);

/** What clients hear of what is done. @param {string} name @param {Record<string, Client>} clients @param {() => unknown} act */
async function step(name, clients, act) {
  for (const it of Object.values(clients)) it.heard = [];
  await act();
  for (let twice = 0; twice < 2; twice += 1) for (const it of Object.values(clients)) await it.settled();
  transcript[name] = Object.fromEntries(Object.entries(clients).map(([who, it]) => [who, [...it.heard]]));
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options) {
  const answer = await fetch(base + path, { ...options, headers: { origin } });
  const [kind] = (answer.headers.get("content-type") ?? "").split(";");
  return { status: answer.status, kind, origin: answer.headers.get("access-control-allow-origin"), body: await answer.text() };
}

const isUuid = (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text);

// requests
for (const key of ["peerjs", "wrong"]) {
  const { body, ...id } = await ask(`/${key}/id?ts=17`);
  transcript[`an id with the key ${key}`] = { ...id, body: isUuid(body) ? "a UUID" : body };
}
const about = await ask("/");
transcript["what the server is"] = { status: about.status, kind: about.kind, keys: Object.keys(JSON.parse(about.body)).sort(), name: JSON.parse(about.body).name };
transcript["no such path"] = { status: (await ask("/peerjs/other")).status };
transcript["a POST"] = { status: (await ask("/peerjs/id", { method: "POST" })).status };
transcript["the path of the WebSocket without one"] = { status: (await ask("/peerjs")).status };

// opening
let a, b;
await step("a peer opens", {}, async () => (a = await client("a", "ta")));
transcript["a peer opens"] = { a: [...a.heard] };
b = await client("b", "tb");
for (const [name, query] of [
  ["the id is taken", "key=peerjs&id=a&token=other"],
  ["the key is wrong", "key=wrong&id=c&token=tc"],
  ["there is no id", "key=peerjs&token=tc"],
  ["there is no token", "key=peerjs&id=c"],
  ["the token is empty", "key=peerjs&id=c&token="],
  ["there is no key", "id=c&token=tc"],
]) {
  const refused = new Client(query);
  await refused.closed;
  transcript[name] = { c: refused.heard };
}
transcript["the peers"] = JSON.parse((await ask("/peerjs/peers")).body);
const wrong = await ask("/wrong/peers");
transcript["the peers with a wrong key"] = { status: wrong.status };

// messages
for (const type of ["OFFER", "ANSWER", "CANDIDATE", "LEAVE", "EXPIRE"]) {
  await step(`${type} to a peer`, { a, b }, () => a.say({ type, src: "forged", dst: "b", payload: { n: [1, null, "한글"], type: "data" }, more: 1 }));
}
await step("HEARTBEAT", { a, b }, () => a.say({ type: "HEARTBEAT" }));
await step("without a payload", { a, b }, () => a.say({ type: "OFFER", dst: "b" }));
for (const [name, message] of [
  ["no JSON", "{"],
  ["an empty message", ""],
  ["a number", "7"],
  ["null", "null"],
  ["no type", { dst: "b" }],
  ["an unknown type", { type: "constructor", dst: "b" }],
  ["a type of the server's", { type: "OPEN", dst: "b" }],
  ["no receiver", { type: "OFFER" }],
  ["an empty receiver", { type: "OFFER", dst: "" }],
]) await step(name, { a, b }, () => a.say(message));
await step("to itself", { a }, () => a.say({ type: "OFFER", dst: "a", payload: 1 }));
const odd = { __proto__: null };
for (const id of ["__proto__", "constructor", "hasOwnProperty", "with space", "한글"]) odd[id] = await client(id, "t");
await step("to ids that are names of prototypes, or have a space", { ...odd, a }, () => {
  for (const id of Object.keys(odd)) a.say({ type: "OFFER", dst: id, payload: id });
});
for (const it of Object.values(odd)) await it.close();

// peers that are not there
await step("a peer that comes within five seconds", { a }, () => {
  for (const type of ["OFFER", "CANDIDATE", "LEAVE"]) a.say({ type, dst: "late", payload: type });
});
const late = await client("late", "t");
transcript["a peer that comes within five seconds"].late = [...late.heard];
await late.close();
await step("a peer that does not come", { a, b }, async () => {
  for (const it of [a, b]) for (const type of ["OFFER", "CANDIDATE", "CANDIDATE"]) it.say({ type, dst: "never", payload: type });
  const both = new Promise((done) => {
    const look = setInterval(() => a.heard.length && b.heard.length && done(clearInterval(look)), 50);
  });
  await atMost(both, EXPIRES);
});

// coming back
await step("a peer goes and comes back", { b }, async () => {
  await a.close();
  a = await client("a", "ta");
});
transcript["a peer goes and comes back"].a = [...a.heard];
let again;
await step("a peer comes back before it is known to be gone", { a, b }, async () => {
  again = await client("a", "ta");
  b.say({ type: "OFFER", dst: "a", payload: 1 });
  await b.settled();
  await again.settled();
});
Object.assign(transcript["a peer comes back before it is known to be gone"], { again: [...again.heard] });
await step("LEAVE without a receiver", { again }, async () => {
  again.say({ type: "LEAVE" });
  await again.settled();
  await atMost(again.closed, SOON / 10);
});
const successor = await client("a", "another token");
transcript["its id is free then"] = { successor: [...successor.heard] };

console.log(JSON.stringify(transcript, null, 1));
process.exit();
