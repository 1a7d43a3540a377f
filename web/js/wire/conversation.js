// @ts-check
/** Chat and files with the other members: over data channels, and chat over the server where none works or is listened to. */

import { Bucket } from "./bucket.js";
import { Emitter } from "./emitter.js";
import { FILE_MAX, Incoming, readPiece, safeName, sendFile } from "./files.js";
import { Lines } from "./lines.js";

/** @typedef {import("./lines.js").Line} Line */
/** @typedef {import("./room.js").Member} Member */
/** @typedef {"offered" | "moving" | "done" | "off"} Stage */
/** Why a file does not come: `many` if the receiver has too many offers, `lost` with the connection. @typedef {"cancelled" | "declined" | "stopped" | "many" | "lost" | "failed"} Why */

/**
 * A file on its way from or to one member.
 * @typedef {object} Transfer
 * @property {number} id
 * @property {"in" | "out"} way
 * @property {string} peer
 * @property {number} [batch]  the same for one file that is offered to several
 * @property {string} name
 * @property {number} size
 * @property {number} moved
 * @property {Stage} stage
 * @property {Why} [why]  of a file that is off
 * @property {Blob} [file]  to be sent, or received whole
 * @property {Incoming} [incoming]
 * @property {AbortController} [outgoing]
 */

/**
 * What travels as text on the channel.
 * @typedef {{ t: "chat", id: number, text: string }
 *   | { t: "heard", id: number }
 *   | { t: "file", id: number, name: string, size: number }
 *   | { t: "accept" | "done", id: number }
 *   | { t: "off" | "refuse", id: number, why?: "many" }} Note  the sender withdraws the file, or the receiver refuses it
 */

/** Of another part of the page, to the same part of another page. @typedef {{ t: string, [field: string]: unknown }} OtherNote */

/** Characters of a message: in UTF-8 never more than the server takes. */
export const TEXT_MAX = 1000;
/** Files that one member may offer at once. */
const OFFERS_MAX = 20;
/** A line that is not acknowledged on the channel within this time goes through the server: the other client may not know the channel. */
const HEARD_WITHIN = 2_000;
/** How many lines one member may send; further lines are dropped. */
const LINES = { burst: 30, perSecond: 10 };
/** How often one member may offer a file; further offers are refused. */
const OFFERS = { burst: OFFERS_MAX, perSecond: 1 };

/**
 * `open` says that a member has a new channel, and `note` brings what the other parts of its page say on it.
 *
 * @extends {Emitter<{ chat: [Member, text: string], transfer: [Transfer, isNew: boolean], open: [Member], note: [Member, OtherNote] }>}
 */
export class Conversation extends Emitter {
  #room;
  #clock;
  /** @type {Map<string, RTCDataChannel>} */
  #channels = new Map();
  /**
   * With each member: the lines that go over channels, how much is welcome, and whether it has left a line unheard that
   * went over the channel it has now.
   * @type {Map<string, { lines: Lines, welcome: Bucket, offers: Bucket, isDeaf: boolean }>}
   */
  #talks = new Map();
  /** @type {Set<Transfer>} */
  #transfers = new Set();
  #nextId = 1;

  /** @param {import("./room.js").Room} room @param {import("./clock.js").Clock} clock */
  constructor(room, clock) {
    super();
    this.#room = room;
    this.#clock = clock;
    room.on("came", (member) => {
      this.#talks.set(member.id, { lines: new Lines(), welcome: new Bucket(LINES, clock), offers: new Bucket(OFFERS, clock), isDeaf: false });
      member.peer.on("channel", (channel) => this.#open(member, channel));
      member.peer.on("state", (state) => {
        // A connection that this side closes, to build it anew, takes its channel along without an event.
        if (state === "new") this.#closed(member.id);
        if (state === "disconnected" || state === "failed") this.#sayOverServer(member.id);
      });
    });
    room.on("left", ({ id }) => {
      this.#closed(id);
      this.#talks.delete(id);
    });
    room.on("msg", (member, kind, body) => {
      if (kind === "line") this.#hear(member, fromBody(body));
      // The member uses another client than this page.
      if (kind === "chat") this.#hear(member, { text: body });
    });
  }

  /** @param {string} text */
  say(text) {
    for (const { id, peer } of this.#room.members.values()) {
      const talk = this.#talks.get(id);
      const line = talk?.lines.say(text);
      const channel = this.#openChannel(id);
      // While the connection is broken, the channel stays open, but messages wait in it and may be lost.
      const isSent = channel && line && !talk?.isDeaf && peer.state === "connected" && send(channel, { t: "chat", ...line });
      if (isSent) this.#clock.after(HEARD_WITHIN, () => this.#doubt(id, line));
      else this.#sayOverServer(id);
    }
  }

  /**
   * A note for one member, or for all, who can be reached by a channel.
   * @param {OtherNote} note
   * @param {string} [to]
   */
  tell(note, to) {
    for (const id of to ? [to] : this.#room.members.keys()) {
      const channel = this.#openChannel(id);
      if (channel) send(channel, note);
    }
  }

  /** Whether a file could be sent to any member. */
  get reachesSomebody() {
    return [...this.#room.members.keys()].some((id) => this.#openChannel(id));
  }

  /**
   * Offers a file to every member who can be reached.
   * @param {Blob & { name: string }} file
   */
  offer(file) {
    const batch = this.#nextId;
    for (const peer of this.#room.members.keys()) {
      const channel = this.#openChannel(peer);
      if (!channel) continue;
      const { name, size } = file;
      const id = this.#nextId++;
      /** @type {Transfer} */
      const transfer = { id, way: "out", peer, batch, name: safeName(name), size, moved: 0, stage: "offered", file };
      this.#add(transfer);
      if (!send(channel, { t: "file", id, name, size })) this.#end(transfer, "off", "lost");
    }
  }

  /** Takes a file that was offered. @param {Transfer} transfer */
  accept(transfer) {
    const channel = this.#openChannel(transfer.peer);
    if (!channel) return this.#end(transfer, "off", "lost");
    transfer.incoming = new Incoming(transfer.size);
    this.#move(transfer, 0);
    send(channel, { t: "accept", id: transfer.id });
    this.#finishIfWhole(transfer, channel);
  }

  /** Does not want a file, or not any more. @param {Transfer} transfer @param {Why} [why] */
  callOff(transfer, why = "cancelled") {
    if (!this.#transfers.has(transfer)) return;
    const channel = this.#openChannel(transfer.peer);
    if (channel) send(channel, { t: transfer.way === "out" ? "off" : "refuse", id: transfer.id });
    this.#end(transfer, "off", why);
  }

  /** @param {Member} member @param {RTCDataChannel} channel */
  #open(member, channel) {
    // A new connection has a new channel, on which transfers do not continue.
    this.#closed(member.id);
    this.#channels.set(member.id, channel);
    const talk = this.#talks.get(member.id);
    if (talk) talk.isDeaf = false;
    channel.onmessage = ({ data }) => {
      if (typeof data === "string") this.#read(member, channel, data);
      else this.#take(member, channel, data);
    };
    channel.onclose = () => {
      if (this.#channels.get(member.id) === channel) this.#closed(member.id);
    };
    this.emit("open", member);
  }

  /** @param {string} peer */
  #closed(peer) {
    this.#channels.delete(peer);
    this.#sayOverServer(peer);
    for (const transfer of this.#transfers) if (transfer.peer === peer) this.#end(transfer, "off", "lost");
  }

  /** @param {Member} member @param {RTCDataChannel} channel @param {string} text */
  #read(member, channel, text) {
    const note = parse(text);
    switch (note?.t) {
      case "chat":
        if (this.#hear(member, note)) send(channel, { t: "heard", id: note.id });
        return;
      case "heard":
        return this.#wasHeard(member, note.id);
      case "file":
        return this.#offered(member, channel, note);
      case "accept":
        return void this.#send(this.#find(member.id, "out", note.id), channel);
      case "done":
        return this.#end(this.#find(member.id, "out", note.id), "done");
      case "refuse":
        return this.#refused(this.#find(member.id, "out", note.id), note.why);
      case "off":
        return this.#end(this.#find(member.id, "in", note.id), "off", "stopped");
      default:
        if (typeof note?.t === "string") this.emit("note", member, note);
    }
  }

  /** A member with an unacknowledged line also gets the next lines through the server at once. @param {string} to @param {Line} line */
  #doubt(to, line) {
    const talk = this.#talks.get(to);
    if (!talk?.lines.isUnheard(line.id)) return;
    talk.isDeaf = true;
    this.#sayOverServer(to);
  }

  /** @param {Member} member @param {number} id */
  #wasHeard(member, id) {
    const talk = this.#talks.get(member.id);
    if (!talk) return;
    talk.isDeaf = false;
    talk.lines.wasHeard(id);
  }

  /** What a channel may not have carried. @param {string} to */
  #sayOverServer(to) {
    if (!this.#room.members.has(to)) return;
    for (const line of this.#talks.get(to)?.lines.takeUnheard() ?? []) this.#room.say("line", toBody(line), to);
  }

  /** @param {Member} member @param {Partial<Line> | null} line @returns {boolean} whether it counts as heard: also what is too much, or it would come over the server, too */
  #hear(member, line) {
    const talk = this.#talks.get(member.id);
    const { id, text } = line ?? {};
    const isSane = typeof text === "string" && (id === undefined || isId(id));
    if (!isSane || !talk) return false;
    if (!talk.welcome.take()) return true;
    if (id === undefined || talk.lines.hears(id)) this.emit("chat", member, text.slice(0, TEXT_MAX));
    return true;
  }

  /** @param {Member} member @param {RTCDataChannel} channel @param {{ id: number, name: string, size: number }} note */
  #offered(member, channel, { id, name, size }) {
    const open = [...this.#transfers].filter(({ peer, way }) => peer === member.id && way === "in");
    const isSane = isId(id) && Number.isSafeInteger(size) && size >= 0 && size <= FILE_MAX;
    const isWelcome = isSane && open.length < OFFERS_MAX && this.#talks.get(member.id)?.offers.take();
    if (!isWelcome) return void send(channel, { t: "refuse", id, why: "many" });
    this.#add({ id, way: "in", peer: member.id, name: safeName(name), size, moved: 0, stage: "offered" });
  }

  /** @param {Transfer | undefined} transfer @param {RTCDataChannel} channel */
  async #send(transfer, channel) {
    if (!transfer?.file || transfer.stage !== "offered") return;
    const { id, file } = transfer;
    const { signal } = (transfer.outgoing = new AbortController());
    this.#move(transfer, 0);
    try {
      await sendFile({ channel, id, file, progress: (sent) => signal.aborted || this.#move(transfer, sent), signal });
    } catch {
      // The file has changed or gone since it was chosen, or the channel has closed.
      this.callOff(transfer, "failed");
    }
  }

  /** @param {Transfer | undefined} transfer @param {unknown} why */
  #refused(transfer, why) {
    this.#end(transfer, "off", why === "many" ? "many" : transfer?.stage === "moving" ? "stopped" : "declined");
  }

  /** @param {Member} member @param {RTCDataChannel} channel @param {ArrayBuffer} bytes */
  #take(member, channel, bytes) {
    const piece = readPiece(bytes);
    if (!piece) return;
    const transfer = this.#find(member.id, "in", piece.id);
    if (!transfer?.incoming || transfer.stage !== "moving") return;
    if (!transfer.incoming.take(piece.payload)) return this.callOff(transfer, "failed");
    this.#move(transfer, transfer.incoming.received);
    this.#finishIfWhole(transfer, channel);
  }

  /** @param {Transfer} transfer @param {RTCDataChannel} channel */
  #finishIfWhole(transfer, channel) {
    if (!transfer.incoming?.isWhole) return;
    transfer.file = transfer.incoming.blob();
    send(channel, { t: "done", id: transfer.id });
    this.#end(transfer, "done");
  }

  /** @param {Transfer} transfer */
  #add(transfer) {
    this.#transfers.add(transfer);
    this.emit("transfer", transfer, true);
  }

  /** @param {Transfer} transfer @param {number} moved */
  #move(transfer, moved) {
    transfer.stage = "moving";
    transfer.moved = moved;
    this.emit("transfer", transfer, false);
  }

  /** @param {Transfer | undefined} transfer @param {"done" | "off"} stage @param {Why} [why] */
  #end(transfer, stage, why) {
    if (!transfer || !this.#transfers.delete(transfer)) return;
    transfer.stage = stage;
    transfer.why = why;
    transfer.incoming = undefined;
    transfer.outgoing?.abort();
    if (stage === "off" || transfer.way === "out") transfer.file = undefined;
    if (stage === "done") transfer.moved = transfer.size;
    this.emit("transfer", transfer, false);
  }

  /** @param {string} peer @param {"in" | "out"} way @param {number} id */
  #find(peer, way, id) {
    return [...this.#transfers].find((it) => it.peer === peer && it.way === way && it.id === id);
  }

  /** @param {string} id */
  #openChannel(id) {
    const channel = this.#channels.get(id);
    return channel?.readyState === "open" ? channel : undefined;
  }
}

/** A line as the server carries it; unlike JSON, no longer than the text in it. @param {Line} line */
function toBody({ id, text }) {
  return `${id} ${text}`;
}

/** @param {string} body @returns {Line | null} */
function fromBody(body) {
  const [, id, text] = /^(\d+) (.*)$/s.exec(body) ?? [];
  return text === undefined ? null : { id: Number(id), text };
}

/** @param {unknown} id @returns {id is number} */
function isId(id) {
  return Number.isSafeInteger(id) && Number(id) > 0;
}

/** @param {RTCDataChannel} channel @param {Note | OtherNote} note @returns {boolean} whether it is on its way: not if the channel just closes, or takes no more */
function send(channel, note) {
  try {
    channel.send(JSON.stringify(note));
    return true;
  } catch {
    return false;
  }
}

/** @param {string} text @returns {any} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
