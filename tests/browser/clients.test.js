/** Our page beside a client that was made from docs/signaling.md alone: they see each other and write to each other. */

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { Venue } from "./support/venue.js";

/** Longer than a line waits to be heard over the channel. */
const LONGER = 4_000;

const venue = new Venue();
before(() => venue.open());
afterEach(() => venue.clear());
after(() => venue.close());

for (const comes of ["later", "first"]) {
  test(`a client that ${comes === "later" ? "comes later" : "is there first"}, and knows no data channel, hears each line once, and is heard`, async () => {
    const { alice, other } = await meeting({ comes });
    // when
    await alice.say("Hello, stranger");
    await other.until(() => window.client.heard.length > 0);
    await alice.say("How are you?");
    // then
    await other.until(() => window.client.heard.length > 1);
    await other.page.evaluate(() => window.client.say("Fine, thanks"));
    await alice.hears("Other", "Fine, thanks");
    await setTimeout(LONGER);
    assert.deepEqual(await heard(other), ["Hello, stranger", "How are you?"]);
    assert.deepEqual(await lines(alice), ["Hello, stranger", "How are you?", "Fine, thanks"]);
  });
}

test("a client that knows the data channel as it is documented is spoken to over it alone", async () => {
  const { alice, other } = await meeting({ channel: true });
  await alice.say("Hello, stranger");
  await other.until(() => window.client.spoken.length > 0);
  await other.page.evaluate(() => window.client.speak("Hello, Alice"));
  await alice.hears("Other", "Hello, Alice");
  await other.until(() => window.client.acknowledged.length > 0);
  await setTimeout(LONGER);
  assert.deepEqual(await heard(other), []);
  assert.deepEqual(await other.page.evaluate(() => window.client.spoken), ["Hello, stranger"]);
  assert.deepEqual(await lines(alice), ["Hello, stranger", "Hello, Alice"]);
});

test("who never says what it shows is seen as long as pictures come", async () => {
  const { alice, other } = await meeting({});
  await alice.looks("Other", { picture: true, muted: false });
  await alice.sees(1);
  // when
  await other.page.evaluate(() => window.client.stopPicture());
  // then
  await alice.looks("Other", { picture: false });
});

test("who says that the camera is off is not seen, whatever comes, until it says otherwise", async () => {
  const { alice, other } = await meeting({ state: { mic: true, cam: false } });
  // given
  await alice.sees(1);
  await setTimeout(LONGER);
  await alice.looks("Other", { picture: false, muted: false });
  // when, then
  await other.page.evaluate(() => window.client.show({ cam: true }));
  await alice.looks("Other", { picture: true });
  await other.page.evaluate(() => window.client.show({ cam: false }));
  await alice.looks("Other", { picture: false });
});

/** Alice with our page, and somebody with the other client, who are connected. */
async function meeting({ comes = "later", ...options }) {
  const room = venue.room();
  const alice = await venue.guest(room, { name: "Alice" });
  await alice.isReady();
  const other = await venue.visitor();
  // A page of the same site, of which nothing is used.
  other.expect(/status of 404/);
  await other.page.goto(`${venue.origin}/nowhere`);
  const enter = () => other.page.evaluate(makeClient, { room: decodeURIComponent(room.split("/r/")[1]), ...options });
  if (comes === "first") await enter();
  await alice.enter();
  if (comes === "later") await enter();
  await alice.until(() => window.watched.connections.some((pc) => pc.connectionState === "connected"));
  return { alice, other };
}

/** @param {import("./support/visitor.js").Visitor} other */
function heard(other) {
  return other.page.evaluate(() => window.client.heard);
}

/** @param {import("./support/guest.js").Guest} guest */
function lines(guest) {
  return guest.page.$$eval("#log .text", (all) => all.map((it) => it.textContent));
}

/**
 * Runs inside a page: the smallest client that docs/signaling.md describes. Who is there waits for an offer; who comes makes
 * one; chat is what `msg` brings.
 */
async function makeClient({ room, state, channel }) {
  const client = { heard: [], spoken: [], acknowledged: [] };
  window.client = client;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 180 } });
  const socket = new WebSocket(`ws://${location.host}/ws`, "signal.v1");
  const send = (message) => socket.send(JSON.stringify(message));
  let ice;
  /** @type {{ id: string, pc: RTCPeerConnection, e: number, early: object[], line?: RTCDataChannel }} */
  let peer;
  const meet = (id, e) => {
    const pc = new RTCPeerConnection({ iceServers: ice.iceServers });
    peer = { id, pc, e, early: [] };
    for (const track of stream.getTracks()) pc.addTrack(track, stream);
    pc.onicecandidate = ({ candidate }) => send({ t: "signal", to: id, e, c: [candidate] });
    if (channel) speakOver(pc);
  };
  const speakOver = (pc) => {
    const line = pc.createDataChannel("hairpin", { negotiated: true, id: 0 });
    peer.line = line;
    line.onmessage = ({ data }) => {
      const { t, id, text } = JSON.parse(data);
      if (t === "heard") client.acknowledged.push(id);
      if (t !== "chat") return;
      client.spoken.push(text);
      line.send(JSON.stringify({ t: "heard", id }));
    };
  };
  const describe = async () => {
    await peer.pc.setLocalDescription();
    send({ t: "signal", to: peer.id, e: peer.e, d: peer.pc.localDescription });
  };
  const take = async ({ from, e, d, c }) => {
    if (!peer || peer.e < e) meet(from, e);
    if (d) {
      await peer.pc.setRemoteDescription(d);
      if (d.type === "offer") await describe();
      for (const candidate of peer.early.splice(0)) await peer.pc.addIceCandidate(candidate);
    }
    for (const candidate of c ?? []) {
      if (!candidate) continue;
      if (peer.pc.remoteDescription) await peer.pc.addIceCandidate(candidate);
      else peer.early.push(candidate);
    }
  };
  let turn = Promise.resolve();
  await new Promise((joined) => {
    socket.onopen = () => send({ t: "hello", v: [1] });
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.t === "welcome") send({ t: "join", room, name: "Other", ...(state && { state }) });
      if (message.t === "joined") {
        ice = message.ice;
        joined();
        for (const { id } of message.peers) turn = turn.then(() => (meet(id, 1), describe()));
      }
      if (message.t === "signal") turn = turn.then(() => take(message));
      if (message.t === "msg" && message.kind === "chat") client.heard.push(message.body);
      if (message.t === "msg" && message.kind === "line") client.heard.push(message.body.slice(message.body.indexOf(" ") + 1));
    };
  });
  client.say = (text) => send({ t: "msg", kind: "chat", body: text });
  client.speak = (text) => peer.line.send(JSON.stringify({ t: "chat", id: 1, text }));
  client.show = (change) => send({ t: "state", ...change });
  client.stopPicture = () => peer.pc.getSenders().find(({ track }) => track?.kind === "video").replaceTrack(null);
}
