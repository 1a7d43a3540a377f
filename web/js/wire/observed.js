// @ts-check
/** What the daemon tells its administrators, and what follows from it: rates, sums and shares. */

/** @typedef {{ packets: number, bytes: number }} Relayed */
/** @typedef {{ code: number, reason: string, count: number }} Coded */
/** @typedef {{ granted: number, refused: Coded[] }} Requests */

/**
 * The parts of `GET /status` that the page shows.
 * @typedef {object} Observed
 * @property {string} version
 * @property {number} started  Unix time
 * @property {"serving" | "draining" | "stopped"} lifecycle
 * @property {{
 *   allocations: number[], most_allocations: number, connections: number,
 *   held: { transport: string, peer_transport: string, family: string, count: number }[],
 *   requests: Record<string, Requests>, ignored: Record<string, number>,
 * }} relay
 * @property {{ rooms: number, members: number, sockets: number, joins_refused: Record<string, number> }} rooms
 * @property {{ connections: number, most_connections: number }} front
 * @property {{ expiry: number, taken: number, refused: number } | null} certificates
 * @property {{ failures: number, next: number, problem: string | null } | null} acme
 * @property {{ cpu_ms: number, resident_bytes: number, open_files: number, most_files: number } | null} process
 */

/**
 * A sample of `GET /history`.
 * @typedef {object} Sample
 * @property {number} time  Unix time
 * @property {number} allocations
 * @property {number} connections
 * @property {number} members
 * @property {Relayed} up
 * @property {Relayed} down
 * @property {number} refused
 * @property {number} ignored
 */

/** @typedef {{ bytes_per_second: number }} Traffic */
/** @typedef {{ user: string, up: Traffic, down: Traffic }} Session */
/** @typedef {{ time: number, value: number }} Point */

/** The first challenge begins every session, and is no failure. */
const CHALLENGE = "challenge";

/** Asks the admin API, with the token if there is one. */
export class Admin {
  #fetch;
  token = "";

  /** @param {typeof globalThis.fetch} fetch */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  /** @param {string} path @returns {Promise<any>} */
  async ask(path) {
    const fetch = this.#fetch;
    const response = await fetch(path, { headers: this.token ? { authorization: `Bearer ${this.token}` } : {} });
    if (!response.ok) throw new Refused(response.status);
    return response.json();
  }
}

/** The daemon refuses to answer. */
export class Refused extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

/**
 * How fast a counter grew between each two samples, per second. A counter that fell began anew: the daemon was restarted.
 * @param {Sample[]} samples @param {(sample: Sample) => number} counter @returns {Point[]}
 */
export function rates(samples, counter) {
  const points = [];
  for (let i = 1; i < samples.length; i++) {
    const [before, after] = [samples[i - 1], samples[i]];
    const [seconds, grown] = [after.time - before.time, counter(after) - counter(before)];
    if (seconds > 0) points.push({ time: after.time, value: Math.max(0, grown) / seconds });
  }
  return points;
}

/** @param {Sample[]} samples @param {(sample: Sample) => number} gauge @returns {Point[]} */
export const levels = (samples, gauge) => samples.map((sample) => ({ time: sample.time, value: gauge(sample) }));

/** @param {Point[]} points */
export function summary(points) {
  const values = points.map(({ value }) => value);
  const sum = values.reduce((all, value) => all + value, 0);
  return { now: values.at(-1) ?? 0, average: values.length ? sum / values.length : 0, most: Math.max(0, ...values) };
}

/** @param {Observed} observed */
export const allocations = ({ relay }) => relay.allocations.reduce((all, some) => all + some, 0);

/**
 * Every error and its method, the most frequent first.
 * @param {Observed} observed @returns {(Coded & { method: string })[]}
 */
export function causes({ relay }) {
  const all = Object.entries(relay.requests).flatMap(([method, { refused }]) => refused.map((coded) => ({ method, ...coded })));
  return all.filter(({ reason, count }) => reason !== CHALLENGE && count > 0).sort((one, other) => other.count - one.count);
}

/**
 * What is used of what is allowed.
 * @param {Observed} observed @returns {{ what: "allocations" | "connections" | "files", used: number, most: number }[]}
 */
export function limits(observed) {
  const { relay, front, process } = observed;
  return [
    { what: /** @type {const} */ ("allocations"), used: allocations(observed), most: relay.most_allocations },
    { what: /** @type {const} */ ("connections"), used: front.connections, most: front.most_connections },
    ...(process ? [{ what: /** @type {const} */ ("files"), used: process.open_files, most: process.most_files }] : []),
  ];
}

/**
 * The users who relay the most, with the number of their sessions and their bytes a second.
 * @param {Session[]} sessions @returns {{ user: string, sessions: number, bytes: number }[]}
 */
export function topUsers(sessions) {
  /** @type {Map<string, { user: string, sessions: number, bytes: number }>} */
  const users = new Map();
  for (const { user, up, down } of sessions) {
    const sum = users.get(user) ?? { user, sessions: 0, bytes: 0 };
    sum.sessions += 1;
    sum.bytes += up.bytes_per_second + down.bytes_per_second;
    users.set(user, sum);
  }
  return [...users.values()].sort((one, other) => other.bytes - one.bytes || other.sessions - one.sessions);
}
