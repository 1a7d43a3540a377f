/** Two learners, each behind a symmetric NAT: with compat.js their pages connect by the relay. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launchChromium } from "./support/browser.js";
import { certificateFolder, onVps } from "./support/config.js";
import { Hairpin } from "./support/hairpin.js";
import { Lab, SERVER, SERVER_NAME, inside } from "./support/lab.js";
import { Leftovers } from "./support/leftovers.js";
import { COMPAT, Learner, ROWS } from "./support/tutorials.js";

const PORT = 3000;
const ORIGIN = `https://${SERVER_NAME}:${PORT}`;

const all = new Leftovers();
const leftovers = new Leftovers();
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];
before(async () => {
  const lab = new Lab("symmetric", "symmetric");
  all.add(() => lab.down());
  const hairpin = await Hairpin.start(onVps(lab, { ofHttp: `allowed_origins = ["${ORIGIN}"]`, more: COMPAT }), Lab.namespace("srv"));
  all.add(() => hairpin.stop());
  const script = fileURLToPath(new URL("support/tutorial-site.js", import.meta.url));
  const [program, ...words] = [...inside(Lab.namespace("srv")), process.execPath, script, `https://${SERVER_NAME}`, SERVER, String(PORT), certificateFolder(SERVER_NAME)];
  const site = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  all.add(() => void site.kill());
  await once(site.stdout, "data");
  for (const host of ["hostA", "hostB"]) {
    const browser = await launchChromium({ namespace: Lab.namespace(host) });
    all.add(() => browser.close());
    browsers.push(browser);
  }
});
afterEach(() => leftovers.clear());
after(() => all.clear());

/** Both on the page of a row, with the script tag. @param {string} row */
async function both(row) {
  const [place, room] = ROWS[row](`behind-nats-${row}`);
  const [path, hash] = place.split("#");
  const people = [];
  for (const browser of browsers) {
    const learner = await Learner.at(browser, `${ORIGIN}/${path}?relay${hash ? `#${hash}` : ""}`, room);
    leftovers.add(() => learner.close());
    people.push(learner);
  }
  return people;
}

for (const row of Object.keys(ROWS)) {
  test(`row ${row} connects by the relay, and again when one has left and comes back`, async () => {
    const people = await both(row);
    await Promise.all(people.map((it) => it.sees(1)));
    for (const it of people) assert.ok((await it.way()).includes("relay"));
    await people[1].reload(ROWS[row]("")[1] === undefined ? undefined : `behind-nats-${row}`);
    await people[1].sees(1);
    await people[0].sees(1);
  });
}
