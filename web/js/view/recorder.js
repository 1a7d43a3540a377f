// @ts-check
/** Records the call into a file: what the stage shows, and everybody's sound. Loaded when somebody wants to record. */

import { html } from "./dom.js";

/** What most players can play comes first. */
const TYPES = ['video/mp4;codecs="avc1.42E01F,mp4a.40.2"', 'video/mp4;codecs="avc1.42E01F,opus"', 'video/webm;codecs="vp8,opus"', "video/mp4", "video/webm"];
const WIDE = { width: 1280, height: 720 };
const FRAMES = 15;
const BITS = 2_500_000;
/** How often what is recorded is written, and new voices are looked for, in milliseconds. */
const SLICE = 1_000;
/** What is kept in memory where the browser cannot write into a file. */
const MEMORY_MAX = 1024 ** 3;

/** @typedef {{ write: (data: Blob) => Promise<void>, close: () => Promise<void> }} Sink */
/** @typedef {{ name: string, own: () => MediaStreamTrack | null, ended: (how: "saved" | "full" | "failed") => void }} Parts */

class FullError extends Error {}

export class Recorder {
  #own;
  #ended;
  #sink;
  #recorder;
  #canvas = document.createElement("canvas");
  #audio = new AudioContext();
  #mix = this.#audio.createMediaStreamDestination();
  /** @type {Map<MediaStreamTrack, MediaStreamAudioSourceNode>} */
  #voices = new Map();
  /** @type {number[]} */
  #timers = [];
  #written = Promise.resolve();
  /** @type {"saved" | "full" | "failed"} */
  #how = "saved";

  /** @param {Parts} parts @returns {Promise<Recorder | null>}  nothing if the user has thought better of it */
  static async begin(parts) {
    const type = TYPES.find((it) => MediaRecorder.isTypeSupported(it)) ?? "";
    const sink = await openSink(parts.name, type.split(";")[0] || "video/webm");
    return sink && new Recorder(parts, sink, type);
  }

  /** @param {Parts} parts @param {Sink} sink @param {string} type */
  constructor({ own, ended }, sink, type) {
    this.#own = own;
    this.#ended = ended;
    this.#sink = sink;
    const { clientWidth, clientHeight } = html("stage");
    const isUpright = clientHeight > clientWidth;
    Object.assign(this.#canvas, isUpright ? { width: WIDE.height, height: WIDE.width } : WIDE);
    this.#audio.resume();
    this.#listen();
    this.#draw();
    const stream = new MediaStream([...this.#canvas.captureStream(FRAMES).getVideoTracks(), ...this.#mix.stream.getAudioTracks()]);
    this.#recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS });
    this.#recorder.ondataavailable = ({ data }) => this.#write(data);
    this.#recorder.onstop = () => this.#finish();
    this.#recorder.onerror = () => this.#fail("failed");
    this.#timers = [window.setInterval(() => this.#draw(), 1000 / FRAMES), window.setInterval(() => this.#listen(), SLICE)];
    this.#recorder.start(SLICE);
  }

  stop() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }

  /** @param {Blob} data */
  #write(data) {
    this.#written = this.#written.then(() => this.#sink.write(data)).catch((error) => this.#fail(error instanceof FullError ? "full" : "failed"));
  }

  /** @param {"full" | "failed"} how */
  #fail(how) {
    this.#how = how;
    this.stop();
  }

  async #finish() {
    this.#timers.forEach(clearInterval);
    this.#audio.close();
    await this.#written;
    await this.#sink.close().catch(() => (this.#how = "failed"));
    this.#ended(this.#how);
  }

  /** Everybody's sound of this moment, each once. */
  #listen() {
    const own = this.#own();
    const now = new Set([...videos().flatMap((video) => tracksOf(video)), ...(own ? [own] : [])]);
    for (const [track, voice] of this.#voices) {
      if (now.has(track)) continue;
      voice.disconnect();
      this.#voices.delete(track);
    }
    for (const track of now) {
      if (this.#voices.has(track)) continue;
      const voice = this.#audio.createMediaStreamSource(new MediaStream([track]));
      voice.connect(this.#mix);
      this.#voices.set(track, voice);
    }
  }

  /** The stage as it is seen, but without what lies over it. */
  #draw() {
    const { width, height } = this.#canvas;
    const pen = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
    const stage = html("stage").getBoundingClientRect();
    const scale = Math.min(width / stage.width, height / stage.height);
    const [x, y] = [(width - stage.width * scale) / 2, (height - stage.height * scale) / 2];
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#131517";
    pen.fillRect(0, 0, width, height);
    pen.setTransform(scale, 0, 0, scale, x - stage.x * scale, y - stage.y * scale);
    // What lies on top, such as one's own picture, comes last.
    const tiles = videos().map((video) => /** @type {HTMLElement} */ (video.closest(".tile")));
    for (const tile of tiles.sort((a, b) => Number(a.matches(".overlay")) - Number(b.matches(".overlay")))) drawTile(pen, tile);
  }
}

/** @param {CanvasRenderingContext2D} pen @param {HTMLElement} tile */
function drawTile(pen, tile) {
  const { x, y, width, height } = tile.getBoundingClientRect();
  if (tile.hidden || width === 0) return;
  const video = /** @type {HTMLVideoElement} */ (tile.querySelector("video"));
  pen.save();
  pen.beginPath();
  pen.roundRect(x, y, width, height, 12);
  pen.clip();
  pen.fillStyle = "#202428";
  pen.fillRect(x, y, width, height);
  if (video.videoWidth > 0 && !tile.matches(".without-picture")) {
    const zoom = Math.min(width / video.videoWidth, height / video.videoHeight);
    const [w, h] = [video.videoWidth * zoom, video.videoHeight * zoom];
    pen.drawImage(video, x + (width - w) / 2, y + (height - h) / 2, w, h);
  }
  pen.font = "16px system-ui, sans-serif";
  pen.lineWidth = 4;
  pen.strokeStyle = "rgb(0 0 0 / 0.6)";
  pen.fillStyle = "#ffffff";
  const name = tile.querySelector(".who")?.textContent ?? "";
  pen.strokeText(name, x + 12, y + height - 14, width - 24);
  pen.fillText(name, x + 12, y + height - 14, width - 24);
  pen.restore();
}

/** @returns {HTMLVideoElement[]} */
function videos() {
  return [...html("stage").querySelectorAll("video")];
}

/** One's own picture has no sound. @param {HTMLVideoElement} video */
function tracksOf({ srcObject }) {
  return srcObject instanceof MediaStream ? srcObject.getAudioTracks() : [];
}

/**
 * A file that the user chooses, or else memory, which is saved as a file in the end.
 * @param {string} room @param {string} type @returns {Promise<Sink | null>}
 */
async function openSink(room, type) {
  const end = type === "video/mp4" ? "mp4" : "webm";
  const at = new Date().toISOString().slice(0, 16).replace(/[T:]/g, "-");
  const name = `${room.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40)}-${at}.${end}`;
  const { showSaveFilePicker } = /** @type {any} */ (window);
  if (!showSaveFilePicker) return inMemory(name, type);
  try {
    const handle = await showSaveFilePicker.call(window, { suggestedName: name, types: [{ accept: { [type]: [`.${end}`] } }] });
    return await handle.createWritable();
  } catch (error) {
    // The user has closed the dialog, or a page in a frame may not open one.
    return /** @type {Error} */ (error).name === "AbortError" ? null : inMemory(name, type);
  }
}

/** @param {string} name @param {string} type @returns {Sink} */
function inMemory(name, type) {
  /** @type {Blob[]} */
  const parts = [];
  let size = 0;
  return {
    write: async (data) => {
      size += data.size;
      parts.push(data);
      if (size > MEMORY_MAX) throw new FullError();
    },
    close: async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(parts, { type }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    },
  };
}
