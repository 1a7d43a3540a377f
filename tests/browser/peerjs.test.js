/** Pages of another site that use PeerJS, as npm publishes it, with Hairpin as its server: docs/compat.md. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";

import { freePorts } from "./support/config.js";
import { compatFile } from "./support/packages.js";
import { Venue } from "./support/venue.js";

/** The client of today, and one that many pages still have. */
const CLIENTS = { "1.5.5": "peerjs/dist/peerjs.min.js", "1.3.1": "peerjs-of-2020/dist/peerjs.min.js" };

const venue = new Venue();
let site = "";
/** @type {import("node:http").Server} */
let server;
before(async () => {
  const [port] = (await freePorts(5)).slice(-1);
  site = `http://localhost:${port}`;
  server = createServer((request, answer) => {
    const [, version] = request.url.split("/");
    if (CLIENTS[version]) answer.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(compatFile(CLIENTS[version])));
    else if (request.url === "/favicon.ico") answer.writeHead(204).end();
    else answer.writeHead(200, { "content-type": "text/html" }).end(page(request.url.slice(2)));
  }).listen(port, "127.0.0.1");
  await venue.open({ http: `allowed_origins = ["${site}"]`, rooms: '[compat]\npeerjs = "/peerjs"\npeerjs_discovery = true' });
});
afterEach(() => venue.clear());
after(async () => {
  server.close();
  await venue.close();
});

/** @param {string} version */
const page = (version) => `<!doctype html><title>PeerJS ${version}</title><body><script src="/${version}"></script><script>(${helpers})()</script>`;

/** What the page of the test can do; it runs there. */
function helpers() {
  /** What has happened, in order. */
  window.heard = [];
  const follow = (connection) => {
    connection.on("data", (data) => heard.push(`data ${data}`));
    connection.on("open", () => heard.push("connected"));
    connection.on("close", () => heard.push("connection closed"));
    window.connection = connection;
  };
  const show = (call) => {
    call.on("stream", (stream) => {
      window.video ??= document.body.appendChild(Object.assign(document.createElement("video"), { autoplay: true, muted: true }));
      video.srcObject = stream;
    });
  };
  /** A camera also lets the browser tell others its addresses. */
  window.camera = () => navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  window.begin = async (id, options) => {
    window.stream ??= await camera();
    const peer = id ? new Peer(id, options) : new Peer(options);
    window.peer = peer;
    for (const event of ["open", "disconnected", "close"]) peer.on(event, () => heard.push(event));
    peer.on("error", (error) => heard.push(`error ${error.type}`));
    peer.on("connection", follow);
    peer.on("call", (call) => (call.answer(stream), show(call)));
  };
  window.connect = (id) => follow(peer.connect(id, { reliable: true }));
  window.call = (id) => show(peer.call(id, stream));
  window.list = () => new Promise((listed) => peer.listAllPeers(listed));
}

/** Somebody with a page that has a peer. @param {string} version @param {{ id?: string, key?: string }} [options] */
async function peer(version, { id, key } = {}) {
  const visitor = await venue.visitor();
  await visitor.page.goto(`${site}/?${version}`);
  const options = { host: "localhost", port: Number(new URL(venue.origin).port), path: "/peerjs", config: { iceServers: [] }, ...(key && { key }) };
  await visitor.page.evaluate((id, options) => window.begin(id, options), id, options);
  return visitor;
}

/** @param {import("./support/visitor.js").Visitor} visitor @param {string} what */
const hears = (visitor, what, times = 1) => visitor.until((what, times) => window.heard.filter((it) => it === what).length >= times, what, times);

/** @param {string} version @param {{ id?: string }} [options] */
async function open(version, options) {
  const visitor = await peer(version, options);
  await hears(visitor, "open");
  return visitor;
}

/** @param {import("./support/visitor.js").Visitor} visitor @returns {Promise<string>} */
const idOf = (visitor) => visitor.page.evaluate(() => window.peer.id);

for (const version of Object.keys(CLIENTS)) {
  const other = Object.keys(CLIENTS).find((it) => it !== version);

  test(`${version}: a data connection and a call, with an id of the server and one of the page`, async () => {
    const [ada, bob] = [await open(version), await open(version, { id: `bob-${version.replaceAll(".", "-")}` })];
    // when
    await bob.page.evaluate((id) => window.connect(id), await idOf(ada));
    await Promise.all([hears(ada, "connected"), hears(bob, "connected")]);
    await bob.page.evaluate(() => window.connection.send("Hello, Ada"));
    await ada.page.evaluate(() => window.connection.send("Hello, Bob"));
    // then
    await Promise.all([hears(ada, "data Hello, Ada"), hears(bob, "data Hello, Bob")]);
    assert.deepEqual((await ada.page.evaluate(() => window.list())).toSorted(), [await idOf(ada), await idOf(bob)].toSorted());
    // when
    await ada.page.evaluate((id) => window.call(id), await idOf(bob));
    // then
    for (const it of [ada, bob]) await it.until(() => window.video?.videoWidth > 0 && window.video.currentTime > 0.2);
  });

  test(`${version}: an id that is taken, and a wrong key, have errors of their own`, async () => {
    const ada = await open(version, { id: "ada" });
    const eve = await peer(version, { id: "ada" });
    await hears(eve, "error unavailable-id");
    const stranger = await peer(version, { id: "stranger", key: "another" });
    await hears(stranger, "error invalid-key");
    assert.deepEqual(await ada.page.evaluate(() => window.heard), ["open"]);
  });

  test(`${version}: whoever calls a peer that is not there is told so, and one that comes in time is reached`, async () => {
    const ada = await open(version);
    await ada.page.evaluate(() => window.connect("nobody"));
    await hears(ada, "error peer-unavailable");
    await ada.page.evaluate(() => window.connect("late"));
    const late = await open(version, { id: "late" });
    await Promise.all([hears(ada, "connected"), hears(late, "connected")]);
    assert.deepEqual(await ada.page.evaluate(() => window.heard), ["open", "error peer-unavailable", "connected"]);
  });

  test(`${version}: reconnect() gives the peer its id back, and its connections stay`, async () => {
    const [ada, bob] = [await open(version, { id: "ada" }), await open(other, { id: "bob" })];
    await bob.page.evaluate(() => window.connect("ada"));
    await Promise.all([hears(ada, "connected"), hears(bob, "connected")]);
    // when
    await ada.page.evaluate(() => (window.peer.disconnect(), window.peer.reconnect()));
    // then
    await hears(ada, "open", 2);
    assert.equal(await idOf(ada), "ada");
    await bob.page.evaluate(() => window.connection.send("Still here?"));
    await hears(ada, "data Still here?");
    await bob.page.evaluate(() => window.connect("ada"));
    await Promise.all([hears(ada, "connected", 2), hears(bob, "connected", 2)]);
  });

  test(`${version}: a server that was restarted has the peer back after reconnect()`, async () => {
    const ada = await open(version, { id: "ada" });
    await venue.hairpin.stop();
    await hears(ada, "disconnected");
    await venue.serve();
    await ada.page.evaluate(() => window.peer.reconnect());
    await hears(ada, "open", 2);
    assert.deepEqual(await ada.page.evaluate(() => window.heard), ["open", "error network", "disconnected", "open"]);
  });
}

test("a page of a site that is not allowed is refused", async () => {
  const eve = await venue.visitor();
  eve.expect(/CORS|ERR_FAILED|WebSocket connection to .* failed|403/i);
  await eve.page.goto(`${site.replace("localhost", "127.0.0.1")}/?1.5.5`);
  const options = { host: "localhost", port: Number(new URL(venue.origin).port), path: "/peerjs" };
  await eve.page.evaluate((options) => window.begin(undefined, options), options);
  await hears(eve, "error server-error");
  await eve.page.evaluate((options) => window.begin("eve", options), options);
  await hears(eve, "error network");
});
