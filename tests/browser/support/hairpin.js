/** The daemon under test. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { inside } from "./lab.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const BINARY = resolve(ROOT, process.env.HAIRPIN ?? "target/release/hairpin");
const START_LIMIT = 10_000;
const STOP_LIMIT = 5_000;

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
