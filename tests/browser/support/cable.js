/** The cable between the pages and the daemon: a TCP proxy whose connections can be cut. */

import { connect, createServer } from "node:net";

export class Cable {
  #server;
  #target;
  #isPlugged = true;
  /** @type {Set<import("node:net").Socket>} */
  #ends = new Set();

  /** @param {number} port @param {number} target  the daemon's port */
  static async lay(port, target) {
    const cable = new Cable(target);
    await new Promise((listens) => cable.#server.listen(port, "127.0.0.1", listens));
    return cable;
  }

  /** @param {number} target */
  constructor(target) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** All connections are lost, and new ones are made at once. */
  cut() {
    for (const end of this.#ends) end.resetAndDestroy();
  }

  /** All connections are lost, and new ones, too. */
  unplug() {
    this.#isPlugged = false;
    this.cut();
  }

  plug() {
    this.#isPlugged = true;
  }

  close() {
    this.cut();
    return new Promise((closed) => this.#server.close(closed));
  }

  /** @param {import("node:net").Socket} near */
  #join(near) {
    if (!this.#isPlugged) return near.resetAndDestroy();
    const far = connect(this.#target, "127.0.0.1");
    for (const [end, other] of [[near, far], [far, near]]) {
      this.#ends.add(end);
      end.pipe(other);
      end.on("error", () => other.destroy());
      end.on("close", () => this.#ends.delete(end));
    }
  }
}
