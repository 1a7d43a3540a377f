// @ts-check
/** A session with the server, over sockets that come and go. */

import { backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { Refusal } from "./protocol.js";

/** @typedef {import("./protocol.js").Frame} Frame */
/** @typedef {import("./protocol.js").ClientMessage} ClientMessage */
/** @typedef {{ id: number, message: ClientMessage, resolve: (frame: Frame) => void, reject: (why: Refusal) => void }} Request */
/** @typedef {"connecting" | "up" | "down" | "closed"} SignalingState */

/** After these the server does not want to see this client again: a token, a kick, another tab, a bug. */
const FINAL = new Set([1000, 4400, 4401, 4403, 4409]);
/** Why a token is not accepted. */
const TOKEN_REFUSED = new Set(["unauthorized", "token_expired"]);

const WELCOME_WITHIN = 10_000;
const PING_EVERY = 15_000;
const PONG_WITHIN = 5_000;

/**
 * Whatever is asked while the socket is down is asked when it is up again. The server keeps its replies, too: after a
 * resume, a request without a reply was never read, and is sent again.
 *
 * @extends {Emitter<{
 *   state: [SignalingState],
 *   begun: [],
 *   message: [Frame],
 *   refused: [Refusal],
 *   tokenRefused: [code: string],
 *   unopened: [],
 *   closed: [number],
 * }>}
 */
export class Signaling extends Emitter {
  /** @type {SignalingState} */
  state = "connecting";
  /** How long the server takes to answer, in milliseconds; null until known. @type {number | null} */
  rtt = null;

  #url;
  #WebSocket;
  #clock;
  #random;
  #token;

  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Request[]} */
  #unanswered = [];
  #nextId = 1;
  #resume = "";
  #last = 0;
  #attempt = 0;
  #pinged = 0;
  /** Whether the socket has ever been one: the browser does not tell why the server refuses it. */
  #hasOpened = false;
  /** Whether the session may not begin yet. */
  #isHeld = false;
  /** How long the server asked us to stay away. @type {number | null} */
  #pause = null;
  #stop = false;
  /** Calls off whatever is to happen next: a connect, a ping, giving up. */
  #cancel = () => {};

  /**
   * @param {object} parts
   * @param {string} parts.url
   * @param {typeof globalThis.WebSocket} parts.WebSocket
   * @param {import("./clock.js").Clock} parts.clock
   * @param {() => number} parts.random
   * @param {string} [parts.token]  a room token
   */
  constructor({ url, WebSocket, clock, random, token = "" }) {
    super();
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#token = token;
  }

  /** Connects while other things are made ready, and says nothing before `open`. */
  prepare() {
    this.#isHeld = true;
    this.#connect();
  }

  /** Begins or resumes the session, now: what was begun before on another network is given up. */
  open() {
    const isPrepared = this.#isHeld && this.#socket;
    this.#isHeld = false;
    if (!isPrepared) this.#connect();
    else if (this.#hasOpened) this.#hello();
  }

  #connect() {
    this.#cancel();
    this.#letGo();
    const socket = new this.#WebSocket(this.#url, "signal.v1");
    this.#socket = socket;
    this.#pause = null;
    this.#hasOpened = false;
    socket.onopen = () => {
      this.#hasOpened = true;
      if (!this.#isHeld) this.#hello();
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(code);
    this.#later(WELCOME_WITHIN, () => this.#drop());
  }

  /**
   * Asks the server for something; resolves with its reply. Rejects if the server refuses, or if the session ends first.
   * @param {ClientMessage} message
   * @returns {Promise<Frame>}
   */
  request(message) {
    return new Promise((resolve, reject) => {
      const request = { id: this.#nextId++, message, resolve, reject };
      if (this.state === "closed") return reject(new Refusal({ code: "closed" }));
      this.#unanswered.push(request);
      if (this.state === "up") this.#send({ ...message, id: request.id });
    });
  }

  /** Begins another session, which shows this token, or none. @param {string} token */
  renew(token) {
    this.#token = token;
    this.#resume = "";
    this.open();
  }

  /** The network may have changed, or the page was asleep: checks whether the server still answers. */
  probe() {
    if (this.state === "up") this.#ping();
    if (this.state === "down") this.open();
  }

  /** Ends the session; it cannot be resumed. */
  close() {
    if (this.state === "up") this.#send({ t: "bye" });
    this.#letGo(1000);
    this.#finish(1000);
  }

  #hello() {
    const resume = this.#resume && { resume: this.#resume, last: this.#last };
    this.#send({ t: "hello", v: [1], ...(this.#token && { token: this.#token }), ...resume });
  }

  /** @param {Frame} frame */
  #hear(frame) {
    if (frame.n !== undefined) {
      if (frame.n <= this.#last) return;
      this.#last = frame.n;
    }
    switch (frame.t) {
      case "welcome":
        return this.#welcomed(frame.resume, frame.resumed);
      case "pong":
        return this.#ponged();
      case "goaway":
        return this.#sentAway(frame.action, frame.after_ms);
    }
    if (frame.re !== undefined) return this.#answered(frame.re, frame);
    if (frame.t !== "error") return this.emit("message", frame);
    if (this.#token && TOKEN_REFUSED.has(frame.code)) return this.#withoutToken(frame.code);
    if (frame.code !== "resume_failed") return this.emit("refused", new Refusal(frame));
    this.#resume = "";
    this.#hello();
  }

  /** The token is of no use any more. A guest needs none. @param {string} code */
  #withoutToken(code) {
    this.emit("tokenRefused", code);
    this.renew("");
  }

  /**
   * @param {string} token
   * @param {boolean} resumed
   */
  #welcomed(token, resumed) {
    this.#resume = token;
    this.#attempt = 0;
    // Missed frames arrive first. The pong arrives after them and shows that they are complete.
    if (resumed) return this.#ping();
    this.#last = 0;
    const lost = this.#unanswered.splice(0);
    this.#become("up");
    for (const { reject } of lost) reject(new Refusal({ code: "session_lost" }));
    this.emit("begun");
    this.#later(PING_EVERY, () => this.#ping());
  }

  #ping() {
    this.#pinged = this.#clock.now();
    this.#send({ t: "ping", ts: Math.round(this.#pinged), last: this.#last });
    this.#later(PONG_WITHIN, () => this.#drop());
  }

  #ponged() {
    this.rtt = this.#clock.now() - this.#pinged;
    if (this.state !== "up") {
      this.#become("up");
      for (const { id, message } of this.#unanswered) this.#send({ ...message, id });
    }
    this.#later(PING_EVERY, () => this.#ping());
  }

  /**
   * @param {"resume" | "rejoin" | "stop"} action
   * @param {number} after
   */
  #sentAway(action, after) {
    if (action !== "resume") this.#resume = "";
    this.#stop = action === "stop";
    this.#pause = after;
  }

  /**
   * @param {number} id
   * @param {Frame} frame
   */
  #answered(id, frame) {
    const index = this.#unanswered.findIndex((request) => request.id === id);
    if (index < 0) return;
    const [{ resolve, reject }] = this.#unanswered.splice(index, 1);
    if (frame.t === "error") reject(new Refusal(frame));
    else resolve(frame);
  }

  /** Treats the socket as lost, although it has not closed yet. */
  #drop() {
    this.#letGo();
    this.#lost(1006);
  }

  /** Closes the socket and ignores its remaining events. @param {number} [code] */
  #letGo(code) {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
    this.#socket = null;
  }

  /** @param {number} code */
  #lost(code) {
    this.#cancel();
    this.#socket = null;
    if (this.#isHeld) return;
    if (FINAL.has(code) || this.#stop) return this.#finish(code);
    this.#become("down");
    if (!this.#hasOpened) this.emit("unopened");
    this.#later(this.#pause ?? backoff(this.#attempt++, this.#random), () => this.open());
  }

  /** @param {number} code */
  #finish(code) {
    if (this.state === "closed") return;
    this.#cancel();
    this.#become("closed");
    for (const { reject } of this.#unanswered.splice(0)) reject(new Refusal({ code: "closed" }));
    this.emit("closed", code);
  }

  /** @param {SignalingState} state */
  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  /**
   * @param {number} ms
   * @param {() => void} then
   */
  #later(ms, then) {
    this.#cancel();
    this.#cancel = this.#clock.after(ms, then);
  }
}
