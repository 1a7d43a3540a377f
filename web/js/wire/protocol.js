// @ts-check
/** The messages of the signaling protocol, version 1, as types; `docs/signaling.md` explains them. */

/** `unsaid` if the member never sent any of it. @typedef {{ mic: boolean, cam: boolean, screen: boolean, hand: boolean, unsaid?: boolean }} State */
/** @typedef {import("./literals.js").Offered & { ttl: number, expires_at: number }} Ice */
/** @typedef {{ id: string, seq: number, name: string, state: State, away: boolean }} PeerInfo */
/** @typedef {{ type: RTCSdpType, sdp?: string }} Description */
/** @typedef {{ d: Description } | { c: (RTCIceCandidateInit | null)[] }} Content */

/**
 * @typedef {object} Joined
 * @property {"joined"} t
 * @property {string} room
 * @property {string} you
 * @property {string} host
 * @property {boolean} locked
 * @property {number} cap
 * @property {PeerInfo[]} peers
 * @property {Ice} [ice]
 * @property {string} [host_token]
 */

/**
 * The messages of the server, both replies and others.
 * @typedef {Joined
 *   | { t: "waiting", you: string }
 *   | { t: "knock", peer: string, name: string }
 *   | { t: "peer_joined", member: PeerInfo }
 *   | { t: "peer_left", peer: string, reason: "left" | "timeout" | "kicked" | "node_lost" }
 *   | { t: "peer_away", peer: string }
 *   | { t: "peer_back", peer: string }
 *   | { t: "peer_state", peer: string, name: string, state: State }
 *   | { t: "signal", from: string, e: number } & Content
 *   | { t: "msg", from: string, direct: boolean, kind: string, body: string }
 *   | { t: "room", locked: boolean, cap: number, host: string }
 *   | { t: "ice" } & Ice
 *   | { t: "kicked", reason: "kicked" | "ended" }
 *   | { t: "goaway", action: "resume" | "rejoin" | "stop", after_ms: number }
 *   | { t: "welcome", session: string, resume: string, resumed: boolean }
 *   | { t: "pong", ts?: number }
 *   | { t: "ok" }
 *   | { t: "error", code: string, message: string, retry_after_ms?: number }
 * } ServerMessage
 */

/** @typedef {ServerMessage & { n?: number, re?: number }} Frame */

/** @typedef {{ t: string, [field: string]: unknown }} ClientMessage */

/** Candidates in one frame. */
export const CANDIDATES_MAX = 64;

/** Why the server refuses a request. */
export class Refusal extends Error {
  /** @param {{ code: string, message?: string, retry_after_ms?: number }} error */
  constructor({ code, message, retry_after_ms }) {
    super(message ?? code);
    this.code = code;
    this.retryAfter = retry_after_ms;
  }
}
