// What the Node.js libraries share of the calls that call_peers.py describes: orders in, news out, an echo a second.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const A_SECOND = 1000;

/** From where tests/run has installed what package.json beside this file names. */
export const library = createRequire(`${process.env.CALLS_NODE}/`);

/** @param {object} news */
export function say(news) {
  process.stdout.write(`${JSON.stringify(news)}\n`);
}

/**
 * @param {{begin(order: object): void, describe(order: object): void, end(): void}} peer what it does with an order,
 * and at the end of all orders
 */
export function obey(peer) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const order = JSON.parse(line);
    if (order.begin) peer.begin(order);
    else peer.describe(order);
  });
  lines.on("close", () => peer.end());
}

/** The echo in one direction, and the answers to the other side's: it is handed what comes on the channel. */
export class Echo {
  /** @param {string} call @param {(text: string) => void} send */
  constructor(call, send) {
    this.call = call;
    this.send = send;
    this.sent = 0;
  }

  /** Once, however often one hears that the channel is open. */
  start() {
    if (this.timer) return;
    this.#ping();
    this.timer = setInterval(() => this.#ping(), A_SECOND);
  }

  /** @param {string} text */
  take(text) {
    const [word, number] = text.split(" ");
    if (word === "ping") this.send(`echo ${number}`);
    else say({ call: this.call, heard: Number(number) });
  }

  stop() {
    clearInterval(this.timer);
  }

  #ping() {
    this.sent += 1;
    this.send(`ping ${this.sent}`);
    say({ call: this.call, sent: this.sent });
  }
}
