// @ts-check
/** One person on the stage: the picture, the name, and how the connection is. */

import { find, html, initials } from "./dom.js";
import { label, say, silence } from "./language.js";

/** @typedef {import("../wire/quality.js").Quality} Quality */
/** @typedef {{ name: string, mic: boolean, cam: boolean, screen: boolean, mirrored?: boolean, away?: boolean, quality?: Quality }} Look */

export class Tile {
  element;
  video;
  #avatar;
  #who;
  #muted;
  #state;
  #dot;

  /** @param {{ isSelf: boolean, onDot?: () => void }} options */
  constructor({ isSelf, onDot }) {
    const copy = /** @type {DocumentFragment} */ (find("tile-template", HTMLTemplateElement).content.cloneNode(true));
    /** @param {string} selector */
    const part = (selector) => /** @type {HTMLElement} */ (copy.querySelector(selector));
    this.element = part(".tile");
    this.video = /** @type {HTMLVideoElement} */ (copy.querySelector("video"));
    this.#avatar = part(".avatar");
    this.#who = part(".who");
    this.#muted = part(".muted");
    this.#state = part(".tile-state");
    this.#dot = part(".dot");
    this.element.classList.toggle("self", isSelf);
    this.video.muted = isSelf;
    this.video.srcObject = new MediaStream();
    label(this.#muted, "call.muted");
    if (onDot) this.#dot.addEventListener("click", onDot);
    html("stage").append(this.element);
  }

  /** @param {Look} look */
  show({ name, mic, cam, screen, mirrored = false, away = false, quality }) {
    const { classList } = this.element;
    const isSelf = classList.contains("self");
    classList.toggle("without-picture", !cam && !screen);
    classList.toggle("screen", screen);
    classList.toggle("mirrored", mirrored && !screen);
    this.element.setAttribute("aria-label", name);
    this.#avatar.dataset.initials = initials(name);
    // An SVG element has no `hidden`, but knows the attribute.
    this.#muted.toggleAttribute("hidden", mic);
    this.#call(name, isSelf, screen);
    this.#tell(away, quality);
    if (!quality) return;
    this.#dot.dataset.quality = quality;
    label(this.#dot, `call.dot.${quality}`, { name });
  }

  /** @param {boolean} isSpeaking */
  speak(isSpeaking) {
    this.element.classList.toggle("speaking", isSpeaking);
  }

  remove() {
    this.element.remove();
  }

  /** @param {string} name @param {boolean} isSelf @param {boolean} screen */
  #call(name, isSelf, screen) {
    if (isSelf) return say(this.#who, "call.you", { name });
    if (screen) return say(this.#who, "tile.screen", { name });
    return silence(this.#who, name);
  }

  /** @param {boolean} away @param {Quality | undefined} quality */
  #tell(away, quality) {
    if (quality === "lost") say(this.#state, "tile.lost");
    else if (quality === "connecting") say(this.#state, "tile.connecting");
    else if (away) say(this.#state, "tile.away");
    else silence(this.#state);
  }
}
