import assert from "node:assert/strict";
import { test } from "node:test";

import { Checkup, targets } from "../js/wire/checkup.js";
import { probe } from "../js/wire/probe.js";
import { FakeClock, FakeSocket } from "./fakes.js";

/** A browser that does what the measured table in reference/web.md §1 says it does. */
function browser(script) {
  return class {
    constructor(configuration) {
      this.configuration = configuration;
      if (script === "throws") throw new SyntaxError("bad port");
    }
    createDataChannel() {}
    close() {}
    async setLocalDescription() {
      setImmediate(() => script(this));
    }
  };
}

const candidate = (type, address = "203.0.113.9", port = 50000) => ({ candidate: { candidate: `candidate:1 1 udp 1 ${address} ${port} typ ${type} raddr 0.0.0.0 rport 0` } });
const error = (errorCode, errorText = "") => ({ errorCode, errorText });
const silence = () => {};
const end = (pc) => pc.onicecandidate({ candidate: null });

async function verdict(script, url = "turn:h:3478?transport=udp") {
  const clock = new FakeClock();
  const found = probe({ RTCPeerConnection: browser(script), server: { urls: [], username: "u", credential: "p" }, url, clock });
  await clock.advance(8_000);
  return found;
}

test("a relayed address is what is wanted, and host candidates are not", async () => {
  const { outcome, address } = await verdict((pc) => {
    pc.onicecandidate(candidate("host"));
    pc.onicecandidate(candidate("relay"));
  });
  assert.deepEqual([outcome, address], ["ok", "203.0.113.9:50000"]);
});

test("STUN that shows another address works, and one that shows none, too, if nothing went wrong", async () => {
  const url = "stun:h:3478";
  assert.equal((await verdict((pc) => pc.onicecandidate(candidate("srflx")), url)).outcome, "ok");
  assert.equal((await verdict((pc) => (pc.onicecandidate(candidate("host")), end(pc)), url)).outcome, "no_nat");
  assert.equal((await verdict(end, url)).outcome, "refused", "no address to ask from");
  const failed = (pc) => {
    pc.onicecandidateerror(error(701, "STUN binding request timed out."));
    end(pc);
  };
  assert.equal((await verdict(failed, url)).outcome, "refused");
});

test("each failure is told from the others", async () => {
  for (const [script, outcome] of [
    [(pc) => pc.onicecandidateerror(error(401, "Unauthorized")), "credential"],
    [(pc) => pc.onicecandidateerror(error(486, "Allocation Quota Reached")), "full"],
    [(pc) => pc.onicecandidateerror(error(508, "Insufficient Capacity")), "full"],
    [(pc) => (pc.onicecandidateerror(error(701, "TURN host lookup received error.")), end(pc)), "dns"],
    [(pc) => (pc.onicecandidateerror(error(701, "TURN allocate request timed out.")), end(pc)), "refused"],
    [end, "refused"],
    [silence, "silent"],
    ["throws", "forbidden"],
  ]) assert.equal((await verdict(script)).outcome, outcome, String(script));
});

test("a name without an IPv6 address is not unknown, though this machine has one", async () => {
  const noIPv6 = (pc) => {
    pc.onicecandidate(candidate("host", "10.0.0.2"));
    pc.onicecandidate(candidate("host", "fd00::2"));
    pc.onicecandidateerror(error(701, "STUN host lookup received error."));
  };
  assert.equal((await verdict(noIPv6)).outcome, "silent");
  assert.equal((await verdict((pc) => (noIPv6(pc), end(pc)), "stun:h:3478")).outcome, "no_nat");
  const neither = (pc) => (noIPv6(pc), pc.onicecandidateerror(error(701, "STUN host lookup received error.")), end(pc));
  assert.equal((await verdict(neither, "stun:h:3478")).outcome, "dns");
});

test("a server on this machine that is not heard may be one where this browser does not look", async () => {
  for (const url of ["stun:127.0.0.1:3478", "turn:[::1]:3478?transport=udp", "turn:localhost:3478?transport=tcp", "turns:localhost:443?transport=tcp"]) {
    assert.equal((await verdict(silence, url)).outcome, "loopback", url);
    assert.equal((await verdict((pc) => (pc.onicecandidateerror(error(701, "timed out")), end(pc)), url)).outcome, "loopback", url);
  }
  assert.equal((await verdict((pc) => pc.onicecandidateerror(error(401)), "turn:127.0.0.1:3478")).outcome, "credential");
  assert.equal((await verdict(silence, "turn:localhost.example.org:3478?transport=udp")).outcome, "silent");
});

test("an error on one network does not count when another works", async () => {
  const script = (pc) => {
    pc.onicecandidateerror(error(701, "on IPv6"));
    pc.onicecandidate(candidate("relay"));
  };
  assert.equal((await verdict(script)).outcome, "ok");
});

test("a server that does not answer is given up after 8 seconds, whatever the browser says", async () => {
  assert.equal((await verdict(silence)).ms, 8_000);
});

test("each URL of the server is a way of its own", () => {
  const server = { urls: ["turn:h:3478?transport=udp", "turn:h:3478?transport=tcp", "turns:h:443?transport=tcp"] };
  const found = targets([{ urls: "stun:h:3478" }, server]);
  assert.deepEqual(Object.entries(found.first).map(([way, { url }]) => [way, url]), [
    ["stun", "stun:h:3478"],
    ["udp", server.urls[0]],
    ["tcp", server.urls[1]],
    ["tls", server.urls[2]],
  ]);
});

test("a second URL by the relay's address is no way of its own", () => {
  const urls = ["turn:h:3478?transport=udp", "turns:h:443?transport=tcp", "turn:198.51.100.10:3478?transport=udp"];
  const { first, byAddress } = targets([{ urls }]);
  assert.deepEqual([first.udp.url, first.tls.url, byAddress.udp.url], urls);
  assert.deepEqual([Object.keys(first), Object.keys(byAddress)], [["udp", "tls"], ["udp"]]);
  const alone = targets([{ urls: [urls[2]] }]);
  assert.deepEqual([Object.keys(alone.first), Object.keys(alone.byAddress)], [["udp"], []]);
});

const NAMED = { udp: "turn:h:3478?transport=udp", tcp: "turn:h:3478?transport=tcp", tls: "turns:h:443?transport=tcp" };
const BY_ADDRESS = { udpByAddress: "turn:198.51.100.10:3478?transport=udp", tcpByAddress: "turn:198.51.100.10:3478?transport=tcp" };

/** A whole check, in a browser where each way to the relay answers after so many milliseconds, or never. */
async function check(answers) {
  const clock = new FakeClock();
  const seen = { verdicts: {}, looped: null, tried: [], ms: 0 };
  const ways = { ...NAMED, ...BY_ADDRESS };
  const RTCPeerConnection = browser((pc) => {
    const [url] = [pc.configuration.iceServers[0].urls].flat();
    const way = Object.keys(ways).find((name) => ways[name] === url);
    seen.tried.push(way);
    if (answers[way] === "nothing") end(pc);
    else if (way in answers) clock.after(answers[way], () => pc.onicecandidate?.(candidate("relay")));
  });
  // The loop finds no way: what it measures is for real browsers to show.
  RTCPeerConnection.prototype.setRemoteDescription = () => Promise.reject(new Error());
  RTCPeerConnection.prototype.addIceCandidate = async () => {};
  RTCPeerConnection.prototype.createDataChannel = () => ({ readyState: "connecting" });
  FakeSocket.all = [];
  const among = (some) => Object.keys(some).filter((way) => way in answers).map((way) => some[way]);
  const checkup = new Checkup({
    RTCPeerConnection,
    WebSocket: FakeSocket,
    socketUrl: "ws://h/ws",
    fetchIce: async () => ({ iceServers: [{ urls: among(NAMED) }], by_address: among(BY_ADDRESS), bits_per_second: 25_000_000 }),
    askDoor: () => assert.fail("the rooms can be reached"),
    origin: "http://h",
    clock,
  });
  checkup.on("verdict", (way, { outcome }) => {
    seen.verdicts[way] = outcome;
    seen.ms = clock.now();
  });
  checkup.on("looping", (way) => (seen.looped = way));
  const run = checkup.run();
  FakeSocket.last.opens();
  FakeSocket.last.hears({ t: "welcome" });
  await clock.advance(15_000);
  await run;
  return seen;
}

test("a browser that cannot look the relay's name up reaches it by its address, and is told so", async () => {
  const { verdicts, looped } = await check({ udp: "nothing", tls: "nothing", udpByAddress: 20 });
  assert.deepEqual([verdicts.udp, verdicts.tls, looped], ["literal", "refused", "udp"]);
});

test("where UDP is blocked too, the address is tried over TCP", async () => {
  const { verdicts, looped } = await check({ udp: "nothing", tcp: "nothing", udpByAddress: "nothing", tcpByAddress: 20 });
  assert.deepEqual([verdicts.udp, verdicts.tcp, looped], ["refused", "literal", "tcp"]);
});

test("a relay that answers under its name is not asked by its address, unless that takes long", async () => {
  for (const udp of [20, 1_400, 5_000]) {
    const { verdicts, tried } = await check({ udp, udpByAddress: 10 });
    assert.equal(verdicts.udp, "ok", udp);
    assert.equal(tried.includes("udpByAddress"), udp > 1_500, udp);
  }
});

test("a relay that is silent by name and by address costs little more time than by name alone", async () => {
  const { verdicts, ms } = await check({ udp: Infinity, udpByAddress: Infinity });
  assert.deepEqual([verdicts.udp, ms], ["silent", 9_500]);
});

/** Only the rooms, whose socket does as it is told; the server gives no credentials. */
async function rooms(socket, answer) {
  FakeSocket.all = [];
  const verdicts = [];
  const checkup = new Checkup({
    RTCPeerConnection: browser(silence),
    WebSocket: FakeSocket,
    socketUrl: "ws://h/ws",
    fetchIce: () => Promise.reject(new Error("403")),
    askDoor: async () => answer,
    origin: "http://h",
    clock: new FakeClock(),
  });
  checkup.on("verdict", (way, verdict) => verdicts.push(verdict));
  const run = checkup.run();
  socket(FakeSocket.last);
  await assert.rejects(run, { message: "403" });
  assert.equal(verdicts.length, 1, "it is known before the check ends");
  return verdicts[0];
}

test("a socket that does not open is explained by the server", async () => {
  const answer = { origin: "http://h", expected: "https://call.example.org", allowed: true, sockets: "ok", create: "anyone" };
  const refused = (socket) => socket.breaks();
  for (const [change, outcome] of [
    [{ allowed: false }, "elsewhere"],
    [{ allowed: false, expected: null }, "unnamed"],
    [{ allowed: false, origin: null }, "altered"],
    [{ sockets: "too_many" }, "too_many"],
    [{ sockets: "full" }, "full"],
    [{ sockets: "draining" }, "draining"],
    [{}, "blocked"],
  ]) {
    const verdict = await rooms(refused, { ...answer, ...change });
    assert.deepEqual([verdict.outcome, verdict.why.reason], [outcome, outcome]);
  }
  assert.equal((await rooms(refused, null)).outcome, "refused");
});

test("a socket that opens and is closed again is not one that the server refused", async () => {
  const verdict = await rooms((socket) => (socket.opens(), socket.breaks(1013)), { allowed: false });
  assert.deepEqual([verdict.outcome, verdict.why], ["refused", undefined]);
});

test("all is known within 15 seconds, and what the server does not offer is said", async () => {
  const never = 1e9;
  const { verdicts } = await check({ udp: never, tcp: never });
  assert.deepEqual(verdicts, { rooms: "ok", stun: "missing", udp: "silent", tcp: "silent", tls: "missing" });
});

test("the loop takes UDP if that is not much slower, and otherwise what works", async () => {
  assert.equal((await check({ udp: 1_000, tcp: 50, tls: 60 })).looped, "udp");
  assert.equal((await check({ udp: 5_000, tcp: 300, tls: 50 })).looped, "tls");
  assert.equal((await check({ udp: 1e9, tcp: 40 })).looped, "tcp");
  assert.equal((await check({ udp: 1e9 })).looped, null);
});
