// @ts-check
/** One picture on the stage, of a camera or a screen, with a name and how the connection is. */

import { zoomOf } from "../wire/fit.js";
import { initials } from "../wire/initials.js";
import { find, html, icon, make } from "./dom.js";
import { label, say, silence } from "./language.js";

/** @typedef {import("../wire/quality.js").Quality} Quality */
/** @typedef {import("../wire/arrange.js").Box} Box */
/** @typedef {{ name: string, mic: boolean, cam: boolean, screen: boolean, hand?: boolean, mirrored?: boolean, away?: boolean, isPaused?: boolean, quality?: Quality }} Look */

/** Of what no picture is there of yet. */
const ASPECT = { camera: 16 / 9, screen: 16 / 10, none: 4 / 3 };
/** In less width a name has no room beside other signs, in less height it would cover a chin. */
const SMALL = { width: 150, height: 136 };

export class Tile {
  element;
  video;
  #avatar;
  #who;
  #muted;
  #hand;
  #state;
  #dot;
  #pin = make("button", "pin only-icon", icon("pin"));
  #isSelf;
  #isScreen;
  /** @type {Box | undefined} */
  #box;

  /** @param {{ isSelf: boolean, isScreen: boolean, onDot: () => void, onPin: () => void }} options */
  constructor({ isSelf, isScreen, onDot, onPin }) {
    const copy = /** @type {DocumentFragment} */ (find("tile-template", HTMLTemplateElement).content.cloneNode(true));
    /** @param {string} selector */
    const part = (selector) => /** @type {HTMLElement} */ (copy.querySelector(selector));
    this.#isSelf = isSelf;
    this.#isScreen = isScreen;
    this.element = part(".tile");
    this.video = /** @type {HTMLVideoElement} */ (copy.querySelector("video"));
    this.#avatar = part(".avatar");
    this.#who = part(".who");
    this.#muted = part(".muted");
    this.#hand = part(".hand");
    this.#state = part(".tile-state");
    this.#dot = part(".dot");
    this.element.classList.toggle("self", isSelf);
    this.element.classList.toggle("screen", isScreen);
    // What is heard with a screen comes with its owner's voice.
    this.video.muted = isSelf || isScreen;
    this.video.srcObject = new MediaStream();
    label(this.#muted, "call.muted");
    label(this.#hand, "people.hand");
    this.#dot.addEventListener("click", onDot);
    this.#pin.type = "button";
    this.#pin.addEventListener("click", onPin);
    if (!isSelf) this.element.append(this.#pin);
    html("stage").append(this.element);
  }

  /** The picture's width, of its height. */
  get aspect() {
    if (this.element.classList.contains("without-picture")) return ASPECT.none;
    const { videoWidth, videoHeight } = this.video;
    return videoHeight > 0 ? videoWidth / videoHeight : ASPECT[this.#isScreen ? "screen" : "camera"];
  }

  /** @param {Look} look */
  show({ name, mic, cam, hand = false, mirrored = false, away = false, isPaused = false, quality }) {
    const { classList } = this.element;
    classList.toggle("without-picture", this.#isScreen ? this.#isSelf : !cam);
    classList.toggle("mirrored", mirrored && !this.#isScreen);
    this.#avatar.dataset.initials = this.#isScreen ? "" : initials(name);
    // An SVG element has no `hidden`, but knows the attribute.
    this.#muted.toggleAttribute("hidden", mic || this.#isScreen);
    this.#hand.toggleAttribute("hidden", !hand || this.#isScreen);
    this.#call(name);
    this.#tell(away, isPaused && !this.#isScreen, quality);
    label(this.#pin, this.#isScreen ? "tile.pin.screen" : "tile.pin", { name });
    this.#fit();
    if (!quality) return;
    this.#dot.dataset.quality = quality;
    label(this.#dot, `call.dot.${quality}`, { name });
  }

  /** @param {boolean} isSpeaking */
  speak(isSpeaking) {
    this.element.classList.toggle("speaking", isSpeaking);
  }

  /** Plays these, unless they play already. @param {(MediaStreamTrack | null | undefined)[]} tracks @returns {boolean} whether they are new */
  play(...tracks) {
    const wanted = tracks.filter((track) => track instanceof MediaStreamTrack);
    const playing = this.video.srcObject instanceof MediaStream ? this.video.srcObject.getTracks() : [];
    if (wanted.length === playing.length && wanted.every((track) => playing.includes(track))) return false;
    this.video.srcObject = new MediaStream(wanted);
    return true;
  }

  /** @param {Box | undefined} box  none where there is no room @param {{ isLarge: boolean, isOverlay: boolean }} as */
  place(box, { isLarge, isOverlay }) {
    const { classList } = this.element;
    this.#box = box;
    this.element.hidden = !box;
    classList.toggle("large", isLarge);
    classList.toggle("overlay", isOverlay);
    if (!box) return;
    classList.toggle("small", box.width < SMALL.width || box.height < SMALL.height);
    stand(this.element, box);
    this.#fit();
  }

  /** @param {boolean} isPinned @param {boolean} canPin */
  pinned(isPinned, canPin) {
    this.#pin.setAttribute("aria-pressed", String(isPinned));
    this.#pin.hidden = !canPin;
    this.element.classList.toggle("can-pin", canPin && !this.#isSelf);
  }

  remove() {
    this.element.remove();
    this.video.srcObject = null;
  }

  /** A screen is always seen whole. */
  #fit() {
    if (!this.#box || this.#isScreen) return;
    const { full, zoom } = zoomOf(this.aspect, this.#box.width / this.#box.height);
    this.element.classList.toggle("whole", zoom < full);
    this.video.style.setProperty("--zoom", String(zoom < full ? zoom : 1));
  }

  /** @param {string} name */
  #call(name) {
    if (this.#isScreen) {
      label(this.element, "tile.screen", { name });
      return this.#isSelf ? silence(this.#who) : say(this.#who, "tile.screen", { name });
    }
    this.element.setAttribute("aria-label", name);
    return this.#isSelf ? say(this.#who, "call.you", { name }) : silence(this.#who, name);
  }

  /** @param {boolean} away @param {boolean} isPaused @param {Quality | undefined} quality */
  #tell(away, isPaused, quality) {
    if (quality === "lost") say(this.#state, "tile.lost");
    else if (quality === "connecting") say(this.#state, "tile.connecting");
    else if (away) say(this.#state, "tile.away");
    else if (isPaused) say(this.#state, "tile.paused");
    else silence(this.#state);
  }
}

/** @param {HTMLElement} element @param {Box} box */
export function stand({ style }, { x, y, width, height }) {
  Object.assign(style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
}
