import assert from "node:assert/strict";
import { test } from "node:test";

import { Embedded } from "../js/wire/embedded.js";

const SITE = "https://app.example.org";

function embedded(sites = [SITE]) {
  const [posted, commands] = [[], []];
  const it = new Embedded({ sites, post: (message, origin) => posted.push([message, origin]) });
  it.on("command", (command) => commands.push(command));
  return { it, posted, commands };
}

test("before a site that may asks, nothing is said but that the page is ready", () => {
  const { it, posted } = embedded();
  it.show({ joined: true, count: 2, mic: true });
  it.hear("https://evil.example", { hairpin: "listen" });
  it.show({ count: 3 });
  it.left("ended");
  assert.deepEqual(posted, [[{ hairpin: "ready" }, "*"]]);
});

test("a site that has asked hears how it is and what changes, and nobody else does", () => {
  const { it, posted } = embedded(["https://other.example.org", SITE]);
  it.show({ mic: true, cam: true });
  it.hear(SITE, { hairpin: "listen" });
  it.show({ joined: true, count: 1 });
  it.show({ count: 2 });
  it.show({ count: 2 });
  it.show({ mic: false });
  it.left("kicked");
  assert.deepEqual(posted.slice(1), [
    [{ hairpin: "state", joined: false, count: 0, mic: true, cam: true }, SITE],
    [{ hairpin: "joined", joined: true, count: 1, mic: true, cam: true }, SITE],
    [{ hairpin: "count", count: 2 }, SITE],
    [{ hairpin: "devices", mic: false, cam: true }, SITE],
    [{ hairpin: "left", reason: "kicked" }, SITE],
  ]);
});

test("only commands that exist are heard, and only from sites that may", () => {
  const { it, commands } = embedded();
  for (const hairpin of ["mute", "unmute", "camera-on", "camera-off", "leave"]) it.hear(SITE, { hairpin });
  assert.equal(commands.length, 5);
  for (const data of [null, "mute", 1, [], {}, { hairpin: "toString" }, { hairpin: ["mute"] }, { command: "mute" }]) it.hear(SITE, data);
  for (const origin of ["null", "", "http://app.example.org", `${SITE}.evil.example`]) it.hear(origin, { hairpin: "mute" });
  assert.equal(commands.length, 5);
  const { it: closed, commands: none } = embedded([]);
  closed.hear(SITE, { hairpin: "mute" });
  assert.deepEqual(none, []);
});
