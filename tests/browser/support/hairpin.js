/** The daemon under test. */

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { inside, Lab, SERVER, SERVER_NAME } from "./lab.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const BINARY = resolve(ROOT, process.env.HAIRPIN ?? "target/release/hairpin");
const START_LIMIT = 10_000;
const STOP_LIMIT = 5_000;
export const SECRET = "ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a";

export class Hairpin {
  /** What it has said so far. */
  log = "";
  #process;
  #directory;
  #ended;

  /**
   * @param {string | null} config  TOML; null for what it does by itself
   * @param {string} [namespace]
   * @returns {Promise<Hairpin>} once it serves
   */
  static async start(config, namespace) {
    const hairpin = new Hairpin(config, namespace);
    await hairpin.#serves();
    return hairpin;
  }

  /** @param {string | null} config @param {string} [namespace] */
  constructor(config, namespace) {
    this.#directory = mkdtempSync(join(tmpdir(), "hairpin-browser-"));
    const file = join(this.#directory, "config.toml");
    if (config !== null) writeFileSync(file, config, { mode: 0o600 });
    const [program, ...words] = [...inside(namespace), BINARY, ...(config === null ? [] : ["--config", file])];
    this.#process = spawn(program, words, { cwd: this.#directory, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream.on("data", (text) => (this.log += text));
    this.#ended = new Promise((ended) => this.#process.on("close", ended));
  }

  /** Ends it as systemd does. */
  async stop() {
    this.#process.kill("SIGTERM");
    await this.#end(STOP_LIMIT);
    if (this.#process.exitCode !== 0) throw new Error(`the daemon ended with ${this.#process.exitCode}:\n${this.log}`);
  }

  /** Ends it as a power failure does. */
  async kill() {
    this.#process.kill("SIGKILL");
    await this.#end(STOP_LIMIT);
  }

  async #end(limit) {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), limit);
    await this.#ended;
    clearTimeout(timer);
    rmSync(this.#directory, { recursive: true });
  }

  #serves() {
    return new Promise((serves, fails) => {
      const timer = setTimeout(() => fails(new Error(`the daemon does not serve:\n${this.log}`)), START_LIMIT);
      const look = () => {
        if (!this.log.includes("pages, credentials and rooms")) return;
        clearTimeout(timer);
        serves();
      };
      this.#process.stdout.on("data", look);
      this.#process.stderr.on("data", look);
      this.#ended.then(() => fails(new Error(`the daemon did not start:\n${this.log}`)));
    });
  }
}

/**
 * On this machine's loopback, for pages at http://localhost. `turns:` works for browsers that accept any certificate.
 * @param {{ http: number, turn: number, tls?: number, publicUrl?: string, more?: string }} options  `more` is TOML tables
 */
export function onLoopback({ http, turn, tls, publicUrl, more = "" }) {
  return `
[http]
listen = ["127.0.0.1:${http}"]
ice_host = "localhost"
${publicUrl ? `public_url = "${publicUrl}"` : ""}
[listen]
udp = ["127.0.0.1:${turn}"]
tcp = ["127.0.0.1:${turn}"]
tls = [${tls ? `"127.0.0.1:${tls}"` : ""}]
${tls ? certificate("localhost") : ""}
[relay]
addresses = ["127.0.0.1"]
[peers]
loopback = true
[credentials]
secrets = ["${SECRET}"]
${more}`;
}

/**
 * As on a VPS: pages, rooms and `turns:` on port 443, STUN and TURN on 3478.
 * @param {Lab} lab
 * @param {{ http?: string, more?: string }} [options]  `http` is lines of its table, `more` tables
 */
export function onVps(lab, { http = "", more = "" } = {}) {
  return `
[http]
listen = []
public_url = "https://${SERVER_NAME}"
${http}
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

/** A certificate that nobody trusts, for the daemon. @param {string} name */
function certificate(name) {
  if (!certificates.has(name)) certificates.set(name, makeCertificate(name));
  const directory = certificates.get(name);
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
