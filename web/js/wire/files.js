// @ts-check
/** Sends a file over a data channel in pieces, and puts the pieces together. */

/** What every browser takes in one message, with our own header in it. */
export const CHUNK = 16 * 1024;
/** The number of the transfer, in front of each piece. */
const HEADER = 4;
const PAYLOAD = CHUNK - HEADER;
/** Read from the disk at once. */
const SLICE = 16 * PAYLOAD;
/** Pause when this many bytes wait to be sent, until only this many do. */
const HIGH = 1024 * 1024;
const LOW = 256 * 1024;

/** What a receiver keeps. */
export const FILE_MAX = 2 * 1024 ** 3;
/** The number of its bytes in our own memory. */
const PAGE = 1024 * 1024;

/**
 * @param {object} parts
 * @param {RTCDataChannel} parts.channel
 * @param {number} parts.id
 * @param {Blob} parts.file
 * @param {(sent: number) => void} parts.progress
 * @param {AbortSignal} parts.signal  that it is called off
 * @returns {Promise<void>}  fails if the file can no more be read, or the channel is closed
 */
export async function sendFile({ channel, id, file, progress, signal }) {
  channel.bufferedAmountLowThreshold = LOW;
  for (let at = 0; at < file.size; at += SLICE) {
    const slice = new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer());
    for (let from = 0; from < slice.length; from += PAYLOAD) {
      if (channel.bufferedAmount > HIGH && !signal.aborted) await drained(channel, signal);
      if (signal.aborted) return;
      channel.send(piece(id, slice.subarray(from, from + PAYLOAD)));
    }
    progress(Math.min(at + SLICE, file.size));
  }
}

/**
 * A piece as it travels.
 * @param {number} id
 * @param {Uint8Array} payload
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function piece(id, payload) {
  const bytes = new Uint8Array(HEADER + payload.length);
  new DataView(bytes.buffer).setUint32(0, id);
  bytes.set(payload, HEADER);
  return bytes;
}

/**
 * @param {ArrayBuffer} bytes
 * @returns {{ id: number, payload: Uint8Array<ArrayBuffer> } | null}
 */
export function readPiece(bytes) {
  if (bytes.byteLength < HEADER) return null;
  return { id: new DataView(bytes).getUint32(0), payload: new Uint8Array(bytes, HEADER) };
}

/** Takes pieces in until the file is whole. */
export class Incoming {
  received = 0;
  /** Pieces are copied into it, or one of a single byte would weigh hundreds. */
  #page;
  #filled = 0;
  /** Pages that are full: a Blob the browser may keep elsewhere than in memory. @type {Blob[]} */
  #parts = [];

  /** @param {number} size */
  constructor(size) {
    this.size = size;
    this.#page = new Uint8Array(Math.min(PAGE, size));
  }

  /**
   * @param {Uint8Array} payload
   * @returns {boolean} false if there is nothing in it, or more than was announced
   */
  take(payload) {
    if (payload.length === 0 || this.received + payload.length > this.size) return false;
    this.received += payload.length;
    for (let rest = payload; rest.length > 0; ) {
      const some = rest.subarray(0, this.#page.length - this.#filled);
      this.#page.set(some, this.#filled);
      this.#filled += some.length;
      rest = rest.subarray(some.length);
      if (this.#filled === this.#page.length) this.#fold();
    }
    return true;
  }

  get isWhole() {
    return this.received === this.size;
  }

  /** @returns {Blob} of no type: it is for saving, and never shown as a page. */
  blob() {
    this.#fold();
    return new Blob(this.#parts.splice(0), { type: "application/octet-stream" });
  }

  #fold() {
    this.#parts.push(new Blob([this.#page.subarray(0, this.#filled)]));
    this.#filled = 0;
  }
}

/** How the pictures begin that are shown in the chat. @type {[type: string, start: RegExp][]} */
const PICTURES = [
  ["image/png", /^\x89PNG\r\n\x1a\n/],
  ["image/jpeg", /^\xff\xd8\xff/],
  ["image/gif", /^GIF8[79]a/],
  ["image/webp", /^RIFF[^]{4}WEBP/],
];
/** Larger ones would take the browser long to draw small. */
const PICTURE_MAX = 20 * 1024 * 1024;

/**
 * The picture in a file, or nothing if it is none; what the file calls itself does not count.
 * @param {Blob} file
 * @returns {Promise<Blob | null>}
 */
export async function pictureIn(file) {
  if (file.size > PICTURE_MAX) return null;
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  const type = PICTURES.find(([, is]) => is.test(start))?.[0];
  return type ? new Blob([file], { type }) : null;
}

/**
 * A name that is safe to save under and to show: no path, nothing that hides its end, not too long.
 * @param {unknown} name
 * @returns {string}
 */
export function safeName(name) {
  const last = String(name).normalize("NFC").split(/[/\\]/).pop() ?? "";
  // Control characters, and those that turn the direction of writing: "gpj.exe" must not look like "exe.jpg".
  const plain = last.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}<>:"|?*]/gu, "").replace(/^[.\s]+|[.\s]+$/g, "");
  if (plain.length <= 120) return plain || "file";
  const end = /\.[^.]{1,10}$/.exec(plain)?.[0] ?? "";
  return plain.slice(0, 120 - end.length) + end;
}

/**
 * Resolves when there is room again, or the transfer has ended.
 * @param {RTCDataChannel} channel
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function drained(channel, signal) {
  return new Promise((resolve) => {
    const done = () => {
      channel.removeEventListener("bufferedamountlow", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    channel.addEventListener("bufferedamountlow", done);
    signal.addEventListener("abort", done);
  });
}
