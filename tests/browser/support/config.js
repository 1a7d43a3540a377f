/** What the daemon under test is told: where it listens, and whom it relays to. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { SERVER, SERVER_NAME } from "./lab.js";

const SECRET = "ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a";

/**
 * On this machine's loopback, for pages at http://localhost. `turns:` works for browsers that accept any certificate.
 * @param {{ http: number, turn: number, at?: string, tls?: number, publicUrl?: string, ice?: string, ofHttp?: string, more?: string }} options
 *   `at` is where the relay is, if not on loopback; `ice` is how clients are led to it; `ofHttp` are more lines of that table;
 *   `more` is TOML tables
 */
export function onLoopback({ http, turn, at = "127.0.0.1", tls, publicUrl, ice = 'ice_host = "localhost"', ofHttp = "", more = "" }) {
  return `
[http]
listen = ["127.0.0.1:${http}"]
${ice}
${publicUrl ? `public_url = "${publicUrl}"` : ""}
${ofHttp}
[listen]
udp = ["${at}:${turn}"]
tcp = ["${at}:${turn}"]
tls = [${tls ? `"127.0.0.1:${tls}"` : ""}]
${tls ? certificate("localhost") : ""}
${relayAt(at)}
${more}`;
}

/** @param {string} address */
function relayAt(address) {
  return `[relay]
addresses = ["${address}"]
[peers]
loopback = true
[credentials]
secrets = ["${SECRET}"]`;
}

/** As somebody writes it who wants to show it to nobody: all of it on loopback, with pages at http://localhost:8080. */
export function atHome() {
  return `
[http]
public_url = "http://localhost:8080"
[listen]
udp = ["127.0.0.1:3478"]
tcp = ["127.0.0.1:3478"]
${relayAt("127.0.0.1")}
`;
}

/**
 * Everything on one machine, for pages at http://localhost:8080, with STUN and all three ways to the relay at its other
 * addresses under this name.
 * @param {string} name @param {string} more  TOML tables
 */
export function everyWay(name, more) {
  return `
[http]
ice_host = "${name}"
[listen]
tls = ["0.0.0.0:5349", "[::]:5349"]
${certificate(name)}
[credentials]
secrets = ["${SECRET}"]
${more}`;
}

/**
 * As on a VPS: pages, rooms and `turns:` on port 443, STUN and TURN on 3478.
 * @param {import("./lab.js").Lab} lab
 * @param {{ ofHttp?: string, more?: string }} [options]  as for [onLoopback]
 */
export function onVps(lab, { ofHttp = "", more = "" } = {}) {
  return `
[http]
listen = []
public_url = "https://${SERVER_NAME}"
${ofHttp}
[listen]
udp = ["${SERVER}:3478"]
tcp = ["${SERVER}:3478"]
tls = ["${SERVER}:443"]
${certificate(SERVER_NAME)}
[relay]
addresses = ["${SERVER}"]
[peers]
allow = ${JSON.stringify(lab.peers)}
[credentials]
secrets = ["${SECRET}"]
${more}`;
}

/** Free ports of loopback, below those that the kernel hands out by itself. @param {number} count */
export async function freePorts(count) {
  const found = [];
  for (let port = 11_000 + (process.pid % 500) * 6; found.length < count; port += 1) {
    if (await isFree(port)) found.push(port);
  }
  return found;
}

/** @param {number} port */
function isFree(port) {
  return new Promise((free) => {
    const probe = createServer().once("error", () => free(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => free(true)));
  });
}

const certificates = new Map();

/** The folder of a certificate that nobody trusts. @param {string} name */
export function certificateFolder(name) {
  if (!certificates.has(name)) certificates.set(name, makeCertificate(name));
  return certificates.get(name);
}

/** The same, for the daemon. @param {string} name */
function certificate(name) {
  const directory = certificateFolder(name);
  return `[tls]\ncertificate = "${directory}/chain.pem"\nkey = "${directory}/key.pem"\nnames = ["${name}"]`;
}

/** @param {string} name */
function makeCertificate(name) {
  const directory = mkdtempSync(join(tmpdir(), "hairpin-certificate-"));
  process.on("exit", () => rmSync(directory, { recursive: true }));
  const files = ["-keyout", `${directory}/key.pem`, "-out", `${directory}/chain.pem`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const about = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-addext", "basicConstraints=critical,CA:FALSE"];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...key, ...about, ...files], { stdio: "ignore" });
  return directory;
}
