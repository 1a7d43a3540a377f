// @ts-check
/** A file in the chat: how far it has come, and what one may do with it. */

import { icon, make } from "./dom.js";
import { size } from "./figures.js";
import { label, say, silence } from "./language.js";

/** @typedef {import("../wire/conversation.js").Transfer} Transfer */
/** @typedef {{ accept: () => void, callOff: () => void }} Acts */

/** What moves is drawn this often at most, in milliseconds. */
const REDRAW = 250;

export class Parcel {
  element;
  #transfer;
  #acts;
  #state = make("p", "small soft");
  #bar = make("progress");
  #choices = make("div", "choices");
  #off = label(make("button", "plain only-icon", icon("close", "small")), "file.cancel");
  /** What is shown now; a button is not replaced while the user is pressing it. */
  #stage = "";
  #drawnAt = 0;
  /** A file that was received, as long as it can be saved. */
  #url = "";
  #who;

  /** @param {Transfer} transfer @param {string} who  at the other end @param {Acts} acts */
  constructor(transfer, who, acts) {
    this.#transfer = transfer;
    this.#acts = acts;
    this.#who = who;
    const title = silence(make("p", "title"), transfer.name);
    title.title = transfer.name;
    this.#off.type = "button";
    this.#off.addEventListener("click", acts.callOff);
    const head = make("div", "head", icon("file"), make("div", "", title, this.#state), this.#off);
    this.element = make("div", "parcel", head, this.#bar, this.#choices);
    this.#bar.setAttribute("aria-label", transfer.name);
    this.draw();
  }

  draw() {
    const { stage, way, moved, size: whole } = this.#transfer;
    const isNews = stage !== this.#stage;
    const now = performance.now();
    if (!isNews && now - this.#drawnAt < REDRAW) return;
    this.#drawnAt = now;
    // The chat is read aloud, but not each step of the way.
    if (isNews) this.#state.removeAttribute("aria-live");
    else this.#state.setAttribute("aria-live", "off");
    this.#bar.hidden = stage !== "moving";
    this.#bar.max = Math.max(1, whole);
    this.#bar.value = moved;
    if (stage === "moving") say(this.#state, "file.moving", { moved: size(moved), size: size(whole) });
    else if (stage === "off") say(this.#state, "file.off");
    else say(this.#state, `file.${stage}.${way}`, { size: size(whole), name: this.#who });
    if (!isNews) return;
    this.#stage = stage;
    this.#off.hidden = stage !== "moving" && !(stage === "offered" && way === "out");
    this.#choices.replaceChildren(...this.#offer());
  }

  /** Lets go of the file. */
  close() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = "";
  }

  #offer() {
    const { stage, way } = this.#transfer;
    if (stage === "offered" && way === "in") {
      return [this.#button("file.accept", this.#acts.accept, "primary"), this.#button("file.refuse", this.#acts.callOff)];
    }
    return stage === "done" && way === "in" ? [this.#save()] : [];
  }

  #save() {
    const { file, name } = this.#transfer;
    if (file) this.#url = URL.createObjectURL(file);
    const link = make("a", "button", icon("download", "small"), say(make("span"), "file.save"));
    link.href = this.#url;
    link.download = name;
    return link;
  }

  /** @param {import("../wire/i18n.js").Key} key @param {() => void} act @param {string} [className] */
  #button(key, act, className = "") {
    const button = say(make("button", className), key);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
}
