/** Machines that are network namespaces: a natlab (tests/natlab) of a server and two hosts behind NATs, or one by itself. */

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../natlab", import.meta.url));
const PREFIX = process.env.NATLAB_PREFIX ?? "hp";

/** The server's address, and the name by which every host of the lab knows it. */
export const SERVER = "203.0.113.10";
export const SERVER_NAME = "turn.hairpin.test";

/** @typedef {"open" | "cone" | "symmetric" | "noudp" | "tls443"} Kind */

export class Lab {
  /**
   * @param {Kind} a  what hostA is behind
   * @param {Kind} b
   * @param {{ loss?: number }} [options]  per cent of all packets that each NAT drops
   */
  constructor(a, b, { loss } = {}) {
    this.kinds = { hostA: a, hostB: b };
    this.#run({ LOSS: loss ? String(loss) : "" }, "up", a, b);
  }

  /** What the server may relay to: the public network, and hosts without a NAT, whose own address is a public one here. */
  get peers() {
    const open = Object.values(this.kinds).flatMap((kind, i) => (kind === "open" ? [`10.10.${i + 1}.0/24`] : []));
    return ["203.0.113.0/24", ...open];
  }

  /** @param {"srv" | "hostA" | "hostB"} host */
  static namespace(host) {
    return `${PREFIX}-${host}`;
  }

  /** Firewall rules (nft) on one of the lab's machines, from now on. @param {string} host @param {string} rules */
  firewall(host, rules) {
    execFileSync("ip", ["netns", "exec", Lab.namespace(host), "nft", rules]);
  }

  down() {
    this.#run({}, "down");
  }

  /** @param {Record<string, string>} environment @param {string[]} words */
  #run(environment, ...words) {
    execFileSync(SCRIPT, words, { env: { ...process.env, NATLAB_PREFIX: PREFIX, ...environment } });
  }
}

/** A machine by itself, which has these addresses and nobody to talk to. */
export class Machine {
  namespace = `${PREFIX}-alone`;

  /**
   * @param {{ addresses?: string[], ipv6?: boolean, name?: string }} options  `addresses` beside loopback; without `ipv6` it
   *   knows none at all; `name` is what it calls all of its addresses
   */
  constructor({ addresses = [], ipv6 = true, name }) {
    this.down();
    if (name) this.#know(name, addresses);
    ip("netns", "add", this.namespace);
    const inside = (...words) => ip("-n", this.namespace, ...words);
    // No address comes later than the others: browsers begin anew when the network changes.
    const settings = ipv6 ? ["accept_dad=0"] : ["disable_ipv6=1"];
    for (const which of ["all", "default"]) ip("netns", "exec", this.namespace, "sysctl", "-qw", ...settings.map((it) => `net.ipv6.conf.${which}.${it}`));
    inside("link", "set", "lo", "up");
    if (addresses.length === 0) return;
    inside("link", "add", "eth0", "type", "veth", "peer", "name", "socket");
    for (const address of addresses) inside("addr", "add", address, "dev", "eth0", ...(address.includes(":") ? ["nodad"] : []));
    for (const end of ["eth0", "socket"]) {
      // A link-local address appears a second or two later, and Chromium then gives up what it was loading.
      if (ipv6) inside("link", "set", end, "addrgenmode", "none");
      inside("link", "set", end, "up");
    }
    // As behind a router that is there: the kernel says which address leads to the Internet.
    for (const family of ["-4", "-6"]) {
      if (addresses.some((address) => address.includes(":") === (family === "-6"))) inside(family, "route", "add", "default", "dev", "eth0");
    }
  }

  /** What `ip netns exec` shows as /etc/hosts and /etc/resolv.conf; Chromium looks for the name with a dot at its end. @param {string} name @param {string[]} addresses */
  #know(name, addresses) {
    mkdirSync(this.#names, { recursive: true });
    const hosts = ["127.0.0.1 localhost", ...addresses.map((address) => `${address.split("/")[0]} ${name} ${name}.`)];
    writeFileSync(`${this.#names}/hosts`, `${hosts.join("\n")}\n`);
    writeFileSync(`${this.#names}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  }

  get #names() {
    return `/etc/netns/${this.namespace}`;
  }

  down() {
    rmSync(this.#names, { recursive: true, force: true });
    try {
      ip("netns", "del", this.namespace);
    } catch {
      // It was not there.
    }
  }
}

/** @param {...string} words */
function ip(...words) {
  execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });
}

/** The words before a command that is to run in a namespace, and not to outlive this process. @param {string} [namespace] */
export function inside(namespace) {
  return [...(namespace ? ["ip", "netns", "exec", namespace] : []), "setpriv", "--pdeathsig", "KILL"];
}
