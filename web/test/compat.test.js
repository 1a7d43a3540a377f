import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const SOURCE = readFileSync(new URL("../compat.js", import.meta.url), "utf8");
const OURS = [{ urls: ["turn:turn.example.org"], username: "1:room.x.y", credential: "secret" }];
const THEIRS = [{ urls: "stun:stun.example.com" }];

/** A page that has loaded the script, on a clock of its own. */
class Page {
  now = 1_000_000;
  asked = [];
  timers = [];
  warnings = [];
  answer = { status: 201, body: { iceServers: OURS, ttl: 3600, expires_at: 9 } };

  constructor({ dataset = {}, answer, script = true } = {}) {
    if (answer) this.answer = answer;
    const page = this;
    class RTCPeerConnection {
      signalingState = "stable";
      constructor(configuration) {
        if (configuration !== undefined && typeof configuration !== "object") throw new TypeError("not a dictionary");
        this.setConfiguration(configuration ?? {});
      }
      // As a browser does: it looks for what it knows, inherited or not.
      setConfiguration({ iceServers = [], iceTransportPolicy = "all" }) {
        this.configuration = { iceServers, iceTransportPolicy };
      }
      getConfiguration() {
        return this.configuration;
      }
      static generateCertificate() {
        return "a certificate";
      }
    }
    this.Native = RTCPeerConnection;
    const window = { RTCPeerConnection, webkitRTCPeerConnection: RTCPeerConnection };
    const context = {
      window,
      URL,
      WeakRef,
      console: { warn: (text) => page.warnings.push(text) },
      Date: { now: () => page.now },
      setTimeout: (run, after) => page.timers.push({ run, at: page.now + after }),
      document: { currentScript: script ? { src: "https://turn.example.org/site/compat.js", dataset } : null },
      XMLHttpRequest: class {
        open(...how) {
          this.how = [...how];
        }
        setRequestHeader(name, value) {
          this.how.push([name, value]);
        }
        send() {
          page.asked.push(this.how);
          if (page.answer === "unreachable") throw new Error("NetworkError");
          this.status = page.answer.status;
          this.responseText = JSON.stringify(page.answer.body);
        }
      },
      fetch: async (address, { method, headers }) => {
        page.asked.push([method, address, true, headers]);
        return { ok: page.answer.status === 201, json: async () => page.answer.body, text: async () => "no" };
      },
    };
    new Function(...Object.keys(context), SOURCE)(...Object.values(context));
    this.window = window;
  }

  async pass(seconds) {
    this.now += seconds * 1000;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { run } of due) await run();
  }
}

test("a connection has this server's servers from its first moment, and all else of what the page wants", () => {
  const { window, asked } = new Page();
  const connection = new window.RTCPeerConnection({ iceServers: THEIRS, iceTransportPolicy: "relay" });
  assert.deepEqual(connection.getConfiguration(), { iceServers: OURS, iceTransportPolicy: "relay" });
  assert.deepEqual(new window.RTCPeerConnection().getConfiguration().iceServers, OURS);
  assert.deepEqual(asked, [["POST", "https://turn.example.org/site/api/v1/page-ice", false]]);
  connection.setConfiguration({ iceServers: THEIRS });
  assert.deepEqual(connection.getConfiguration().iceServers, OURS);
});

test("the class stays the class that it was", () => {
  const { window, Native } = new Page();
  const { RTCPeerConnection } = window;
  class Own extends RTCPeerConnection {
    isOwn = true;
  }
  const [plain, own] = [new RTCPeerConnection({}), new Own({ iceServers: THEIRS })];
  assert.ok(plain instanceof RTCPeerConnection && plain instanceof Native && own instanceof Own && own instanceof RTCPeerConnection);
  assert.ok(new Native({}) instanceof RTCPeerConnection);
  assert.deepEqual([own.isOwn, own.getConfiguration().iceServers], [true, OURS]);
  assert.equal(plain.constructor, RTCPeerConnection);
  assert.equal(window.webkitRTCPeerConnection, RTCPeerConnection);
  assert.equal(RTCPeerConnection.generateCertificate(), "a certificate");
  assert.equal(RTCPeerConnection.name, "RTCPeerConnection");
  assert.throws(() => new RTCPeerConnection("a text"), /not a dictionary/);
});

test("credentials are fresh before the old ones expire, on open connections too", async () => {
  const page = new Page();
  const [open, closed] = [new page.window.RTCPeerConnection(), new page.window.RTCPeerConnection()];
  closed.signalingState = "closed";
  page.answer = { status: 201, body: { iceServers: THEIRS, ttl: 3600 } };
  await page.pass(2879);
  assert.equal(page.asked.length, 1);
  await page.pass(1);
  assert.deepEqual([page.asked.length, open.getConfiguration().iceServers], [2, THEIRS]);
  assert.deepEqual(closed.getConfiguration().iceServers, OURS);
  await page.pass(2880);
  assert.equal(page.asked.length, 3);
});

test("after a sleep, a new connection does not get old credentials", () => {
  const page = new Page();
  page.answer = { status: 201, body: { iceServers: THEIRS, ttl: 3600 } };
  page.now += 24 * 3600 * 1000;
  assert.deepEqual(new page.window.RTCPeerConnection().getConfiguration().iceServers, THEIRS);
});

test("a page that may not use the relay works as before, and its developer can see why", async () => {
  for (const answer of [{ status: 403, body: { detail: "add the origin" } }, "unreachable"]) {
    const page = new Page({ answer });
    assert.deepEqual(new page.window.RTCPeerConnection({ iceServers: THEIRS }).getConfiguration().iceServers, THEIRS);
    assert.match(page.warnings.join(), /no relay from .*(add the origin|allowed_origins)/);
    assert.equal(page.asked.length, 1, "it is not asked for each connection");
  }
});

test("a key or a token of the page is shown", () => {
  assert.deepEqual(new Page({ dataset: { key: "hairpin_a" } }).asked, [
    ["POST", "https://turn.example.org/site/api/v1/ice-servers", false, ["Authorization", "Bearer hairpin_a"]],
  ]);
  assert.deepEqual(new Page({ dataset: { token: "r1.b" } }).asked, [
    ["POST", "https://turn.example.org/site/api/v1/page-ice", false, ["Authorization", "Bearer r1.b"]],
  ]);
});

test("as a module it says that it must not be one", () => {
  const page = new Page({ script: false });
  assert.match(page.warnings.join(), /without type=module/);
  assert.equal(page.window.RTCPeerConnection, page.Native);
});
