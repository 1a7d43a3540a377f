// @ts-check
/** The room: its members, their states, and a connection with each of them. */

import { within } from "./clock.js";
import { Emitter } from "./emitter.js";
import { hasLiterals, withLiterals, withoutLiterals } from "./literals.js";
import { Peer } from "./peer.js";
import { Refusal } from "./protocol.js";

/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").PeerInfo} PeerInfo */
/** @typedef {import("./protocol.js").Frame} Frame */
/** @typedef {import("./protocol.js").Joined} Joined */
/** @typedef {import("./protocol.js").Ice} Ice */
/** @typedef {PeerInfo & { peer: Peer }} Member */

/**
 * Why this client is not in the room: what the server refused with, or what happened later.
 * @typedef {"kicked" | "ended" | "ended_here" | "replaced" | "stopped" | "knock_denied" | string} Reason
 */

/** It is this client that was gone, and not the member that has left. */
export const GONE_OURSELVES = "";
/** How long to wait before asking again, if the server was full or limited us. */
const RETRY_AFTER = 2_000;
/** After a restart of the server, a guest waits this long, so often, for somebody who may open the room again. */
const RETURN_AFTER = 3_000;
const RETURNS = 10;
/** After this time the user is told why joining takes so long. */
const PATIENCE = 5_000;
/** So long the first offer may take before the room is told of. */
const OFFERED_WITHIN = 300;

/**
 * @extends {Emitter<{
 *   joined: [],
 *   waiting: [],
 *   asking: [],
 *   out: [Reason],
 *   came: [Member],
 *   left: [Member, reason: string],
 *   changed: [Member],
 *   renamed: [Member, before: string],
 *   me: [],
 *   room: [],
 *   knocks: [],
 *   msg: [Member, kind: string, body: string],
 * }>}
 */
export class Room extends Emitter {
  /** @type {Map<string, Member>} */
  members = new Map();
  /** Users who wait to be let in. @type {Map<string, string>} */
  knocks = new Map();
  you = "";
  host = "";
  locked = false;
  cap = 0;
  /** "all", or "relay" to show the others no address of ours. @type {RTCIceTransportPolicy} */
  policy;

  #name;
  #key;
  #hostToken;
  #me;
  #signaling;
  #RTCPeerConnection;
  #tracks;
  #stream;
  #codecs;
  #certificates;
  #clock;
  /** @type {Ice | undefined} */
  #ice;
  /** Names of servers have led nowhere: addresses are tried, too. */
  #byAddress = false;
  #askToken;
  #inside = false;
  /** What is heard before the room is told of. @type {Frame[] | null} */
  #held = null;
  /** How often this member has found no room after a restart of the server. */
  #returns = 0;
  #isOver = false;
  /** Calls off the next attempt to join. */
  #cancel = () => {};

  /**
   * @param {object} parts
   * @param {string} parts.name
   * @param {string} [parts.key]
   * @param {string} [parts.hostToken]  from when this client created the room
   * @param {{ name: string, state: State }} parts.me
   * @param {import("./signaling.js").Signaling} parts.signaling
   * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
   * @param {() => import("./peer.js").Tracks} parts.tracks  what is sent at the moment
   * @param {MediaStream} [parts.stream]
   * @param {import("./peer.js").Preferences} [parts.codecs]
   * @param {RTCCertificate[]} [parts.certificates]  one for all connections, so that a member keeps its fingerprint
   * @param {import("./clock.js").Clock} parts.clock
   * @param {RTCIceTransportPolicy} [parts.policy]
   * @param {() => Promise<string>} [parts.askToken]  a token with which the room may be created; "" if there is none
   */
  constructor({ name, key, hostToken, me, signaling, RTCPeerConnection, tracks, stream, codecs, certificates, clock, policy = "all", askToken = async () => "" }) {
    super();
    this.policy = policy;
    this.#askToken = askToken;
    this.#name = name;
    this.#key = key;
    this.#hostToken = hostToken;
    this.#me = me;
    this.#signaling = signaling;
    this.#RTCPeerConnection = RTCPeerConnection;
    this.#tracks = tracks;
    this.#stream = stream;
    this.#codecs = codecs;
    this.#certificates = certificates;
    this.#clock = clock;
    signaling.on("begun", () => this.#join());
    signaling.on("message", (frame) => this.#hear(frame));
    signaling.on("refused", ({ code }) => this.#refused(code));
    signaling.on("closed", (code) => this.#closed(code));
  }

  get isHost() {
    return this.you !== "" && this.you === this.host;
  }

  get hostToken() {
    return this.#hostToken;
  }

  /** Whether the server offers its relay over UDP. */
  get offersUdp() {
    const urls = (this.#ice?.iceServers ?? []).flatMap(({ urls }) => urls);
    return urls.some((url) => url.startsWith("turn:") && !url.includes("transport=tcp"));
  }

  get me() {
    return this.#me;
  }

  /** @param {Partial<State> & { name?: string }} change */
  show(change) {
    const { name, ...state } = change;
    Object.assign(this.#me.state, state);
    this.#me.name = name ?? this.#me.name;
    this.emit("me");
    this.#tell(change);
  }

  /**
   * Text for one member, or for all.
   * @param {string} kind
   * @param {string} body
   * @param {string} [to]
   */
  say(kind, body, to) {
    this.#ask({ t: "msg", kind, body, ...(to && { to }) });
  }

  /** @param {boolean} on */
  lock(on) {
    this.#ask({ t: "lock", on });
  }

  /**
   * @param {"kick" | "admit" | "deny" | "host"} what
   * @param {string} peer
   * @param {{ ban_s?: number }} [more]  for how long nobody may come in from the address of whoever is removed
   */
  decide(what, peer, more = {}) {
    if (what === "admit" || what === "deny") this.#forgetKnock(peer);
    this.#ask({ t: what, peer, ...more });
  }

  /** Ends the call for everybody. */
  end() {
    this.#signaling.request({ t: "end" }).then(() => this.#out("ended_here"), () => {});
  }

  leave() {
    this.#cancel();
    this.#empty();
    this.#inside = false;
    this.#held = null;
    this.#signaling.close();
  }

  /** @param {import("./peer.js").Kind} kind @param {MediaStreamTrack | null} track */
  replaceTrack(kind, track) {
    for (const { peer } of this.members.values()) peer.replaceTrack(kind, track);
  }

  /** @param {RTCIceTransportPolicy} policy */
  setPolicy(policy) {
    this.policy = policy;
    for (const { peer } of this.members.values()) peer.rebuild();
  }

  /** The network has changed, or the page was asleep. */
  networkChanged() {
    this.#signaling.probe();
    for (const { peer } of this.members.values()) peer.networkChanged();
  }

  async #join() {
    this.#cancel();
    const join = {
      t: "join",
      room: this.#name,
      name: this.#me.name,
      state: this.#me.state,
      ...(this.#key && { key: this.#key }),
      ...(this.#hostToken && { host_token: this.#hostToken }),
    };
    const reply = await this.#signaling.request(join).catch((/** @type {Refusal} */ refusal) => refusal);
    if (reply instanceof Refusal) return this.#notLetIn(reply);
    if (reply.t === "joined") this.#enter(reply);
    if (reply.t === "waiting") this.emit("waiting");
  }

  /** @param {Refusal} refusal */
  #notLetIn({ code, retryAfter }) {
    // The next session joins again.
    if (code === "session_lost" || code === "closed") return;
    const wait = retryAfter ?? RETRY_AFTER;
    // A member of the room returns as soon as possible. Other users see the reason, and may go elsewhere.
    const mayPass = code === "rate_limited" || code === "room_full" || code === "server_full";
    const isSoon = code === "rate_limited" && wait <= PATIENCE;
    if (isSoon || (this.#inside && mayPass)) this.#cancel = this.#clock.after(wait, () => this.#join());
    else if (code === "room_not_found" && this.#inside && this.#returns++ < RETURNS) this.#cancel = this.#clock.after(RETURN_AFTER, () => this.#join());
    else if (code === "room_not_found") this.#tryToCreate();
    else this.#out(code);
  }

  async #tryToCreate() {
    this.emit("asking");
    const token = await this.#askToken();
    if (this.#isOver) return;
    if (token) this.#signaling.renew(token);
    else this.#out("room_not_found");
  }

  /**
   * The first offer is made before anybody is told: whoever draws the call then does so while the offer is on its way.
   * @param {Joined} joined
   */
  async #enter(joined) {
    // After a restart of the server, every member has a new id.
    this.#empty();
    this.#inside = true;
    this.#returns = 0;
    this.you = joined.you;
    this.#hostToken = joined.host_token ?? this.#hostToken;
    this.#ice = joined.ice;
    this.#set(joined);
    const members = joined.peers.map((info) => this.#meet(info, true));
    const offers = members.map(({ peer }) => peer.start());
    const held = (this.#held = /** @type {Frame[]} */ ([]));
    if (offers.length > 0) await within(this.#clock, OFFERED_WITHIN, Promise.race(offers), undefined);
    if (this.#held !== held) return;
    this.#held = null;
    this.emit("joined");
    for (const member of members) this.emit("came", member);
    for (const frame of held) this.#hear(frame);
  }

  /** @param {Frame} frame */
  #hear(frame) {
    if (this.#held) return void this.#held.push(frame);
    switch (frame.t) {
      case "joined":
        return void this.#enter(frame);
      case "peer_joined":
        this.#forgetKnock(frame.member.id);
        return this.emit("came", this.#meet(frame.member, false));
      case "peer_left":
        this.#forgetKnock(frame.peer);
        return this.#go(frame.peer, frame.reason);
      case "peer_away":
        return this.#change(frame.peer, { away: true });
      case "peer_back":
        return this.#change(frame.peer, { away: false });
      case "peer_state":
        return this.#change(frame.peer, { name: frame.name, state: frame.state });
      case "signal":
        return void this.members.get(frame.from)?.peer.hear(frame.e, frame);
      case "msg": {
        const member = this.members.get(frame.from);
        if (member) this.emit("msg", member, frame.kind, frame.body);
        return;
      }
      case "room":
        return this.#set(frame);
      case "ice":
        this.#ice = frame;
        return;
      case "knock":
        this.knocks.set(frame.peer, frame.name);
        return this.emit("knocks");
      case "kicked":
        return this.#out(frame.reason);
    }
  }

  /**
   * @param {PeerInfo} info
   * @param {boolean} isNewcomer  whether this client came later: it then starts, and is polite
   * @returns {Member}
   */
  #meet(info, isNewcomer) {
    const peer = new Peer({
      RTCPeerConnection: this.#RTCPeerConnection,
      polite: isNewcomer,
      send: (e, content) => this.#ask({ t: "signal", to: info.id, e, ...content }),
      configuration: () => this.#configuration(),
      refresh: () => this.#refresh(),
      tracks: this.#tracks(),
      stream: this.#stream,
      codecs: this.#codecs,
      clock: this.#clock,
    });
    peer.on("barren", () => this.#tryAddresses());
    const member = { ...info, peer };
    this.members.set(info.id, member);
    return member;
  }

  /** @param {string} id @param {string} reason */
  #go(id, reason) {
    const member = this.members.get(id);
    if (!member) return;
    this.members.delete(id);
    member.peer.close();
    // Nobody was told that it is here.
    if (!this.#held) this.emit("left", member, reason);
  }

  /** @param {string} id @param {Partial<PeerInfo>} change */
  #change(id, change) {
    const member = this.members.get(id);
    if (!member) return;
    const before = member.name;
    this.emit("changed", Object.assign(member, change));
    if (member.name !== before) this.emit("renamed", member, before);
  }

  /** @param {{ locked: boolean, cap: number, host: string }} room */
  #set({ locked, cap, host }) {
    Object.assign(this, { locked, cap, host });
    this.emit("room");
  }

  /** @param {string} id */
  #forgetKnock(id) {
    if (this.knocks.delete(id)) this.emit("knocks");
  }

  /** @param {string} code */
  #refused(code) {
    // The socket is closed now, and it will be tried again, as after any loss.
    if (this.#inside || code === "draining") return;
    // A knock that is refused, a token that is not accepted, a server that is full.
    this.#out(code);
  }

  /** @param {number} code */
  #closed(code) {
    if (code === 1000) return;
    const reasons = /** @type {Record<number, string>} */ ({ 4401: "unauthorized", 4403: "kicked", 4409: "replaced" });
    this.#out(reasons[code] ?? "stopped");
  }

  /** Only the first reason counts: what follows is its consequence. @param {Reason} reason */
  #out(reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.leave();
    this.emit("out", reason);
  }

  #empty() {
    this.knocks.clear();
    for (const id of [...this.members.keys()]) this.#go(id, GONE_OURSELVES);
  }

  /**
   * One bundle from the start: else an offer gathers for sound, picture and data each, and takes three times as many
   * allocations from the relay.
   * @returns {RTCConfiguration}
   */
  #configuration() {
    const offered = this.#ice ?? { iceServers: [] };
    const iceServers = this.#byAddress ? withLiterals(offered) : withoutLiterals(offered.iceServers);
    const certificates = this.#certificates;
    return { iceServers, iceTransportPolicy: this.policy, bundlePolicy: "max-bundle", ...(certificates && { certificates }) };
  }

  /** Once: what no name leads to, an address may. */
  #tryAddresses() {
    if (this.#byAddress || !this.#ice || !hasLiterals(this.#ice)) return;
    this.#byAddress = true;
    for (const { peer } of this.members.values()) if (peer.state !== "connected") peer.rebuild();
  }

  async #refresh() {
    const reply = await this.#signaling.request({ t: "ice" });
    if (reply.t === "ice") this.#ice = reply;
  }

  /** If the state changes faster than the server passes it on, the others see the final state. @param {object} change */
  #tell(change) {
    this.#signaling.request({ t: "state", ...change }).catch((/** @type {Refusal} */ { code, retryAfter }) => {
      if (code === "rate_limited") this.#clock.after(retryAfter ?? RETRY_AFTER, () => this.#tell(this.#me.state));
    });
  }

  /** An error here concerns a member who has just left, or a right that has just passed to another member. @param {import("./protocol.js").ClientMessage} message */
  #ask(message) {
    this.#signaling.request(message).catch(() => {});
  }
}
