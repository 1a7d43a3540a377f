/** WebKitGTK, as Debian builds it: without WebRTC, but with the engine that reads Safari's pages. Driven by WebDriver. */

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";

const MINI_BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";
const START_LIMIT = 20_000;

export class WebKit {
  /** What it says of itself. */
  #log = "";
  #driver;
  #base;
  #session = "";

  /** @returns {Promise<WebKit>} */
  static async launch() {
    const port = await freePort();
    const webkit = new WebKit(port);
    await webkit.#begin();
    return webkit;
  }

  /** @param {number} port */
  constructor(port) {
    this.#base = `http://127.0.0.1:${port}`;
    // It knows no headless mode, so it gets a screen that nobody sees; and as root no sandbox.
    const environment = { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", LIBGL_ALWAYS_SOFTWARE: "1", GSETTINGS_BACKEND: "memory" };
    const command = ["setpriv", "--pdeathsig", "TERM", "xvfb-run", "--auto-servernum", "WebKitWebDriver", `--port=${port}`];
    this.#driver = spawn(command[0], command.slice(1), { env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
    for (const stream of [this.#driver.stdout, this.#driver.stderr]) stream.on("data", (text) => (this.#log += text));
  }

  /** @param {string} url */
  async goto(url) {
    await this.#ask("POST", "url", { url });
  }

  /** What a function that runs in the page returns. @param {(...values: any[]) => any} script @param {...unknown} values */
  evaluate(script, ...values) {
    return this.#ask("POST", "execute/sync", { script: `return (${script}).apply(null, arguments)`, args: values });
  }

  /** @param {(...values: any[]) => any} script @param {...unknown} values */
  async until(script, ...values) {
    for (const giveUp = Date.now() + START_LIMIT; !(await this.evaluate(script, ...values)); await setTimeout(100)) {
      if (Date.now() > giveUp) throw new Error(`WebKit waits for ${script}\n${this.#log}`);
    }
  }

  async close() {
    await this.#ask("DELETE", "").catch(() => {});
    process.kill(-this.#driver.pid, "SIGTERM");
  }

  async #begin() {
    const alwaysMatch = { "webkitgtk:browserOptions": { binary: MINI_BROWSER, args: ["--automation"] } };
    const giveUp = Date.now() + START_LIMIT;
    for (;;) {
      try {
        const { sessionId } = await this.#ask("POST", null, { capabilities: { alwaysMatch } });
        this.#session = sessionId;
        return;
      } catch (error) {
        if (Date.now() > giveUp) throw new Error(`WebKit does not start: ${error.message}\n${this.#log}`);
        await setTimeout(200);
      }
    }
  }

  /** @param {string} method @param {string | null} path  of the session; null for a new one @param {object} [body] */
  async #ask(method, path, body) {
    const url = path === null ? `${this.#base}/session` : `${this.#base}/session/${this.#session}${path && `/${path}`}`;
    const response = await fetch(url, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
    return value;
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
      probe.close(() => found(port));
    });
  });
}
