// @ts-check
/** A file in the chat: how far it has come, to each who gets it, and what one may do with it. */

import { pictureIn } from "../wire/files.js";
import { icon, make } from "./dom.js";
import { size } from "./figures.js";
import { label, say, silence } from "./language.js";

/** @typedef {import("../wire/conversation.js").Transfer} Transfer */
/** @typedef {{ accept: (transfer: Transfer) => void, callOff: (transfer: Transfer) => void }} Acts */

/** What moves is drawn this often at most, in milliseconds. */
const REDRAW = 250;

export class Parcel {
  element;
  #acts;
  /** With each who is at the other end, and the line about it. @type {{ transfer: Transfer, who: string, state: HTMLElement }[]} */
  #ways = [];
  #name;
  #state = make("p", "small soft");
  #bar = make("progress");
  #people = make("ul", "small soft");
  #choices = make("div", "choices");
  #off = label(make("button", "plain only-icon", icon("close", "small")), "file.cancel");
  /** What is shown now; a button is not replaced while the user is pressing it. */
  #shown = "";
  #drawnAt = 0;
  /** Of a file that was received, and of the picture in it, as long as they can be saved. @type {string[]} */
  #urls = [];

  /** @param {Transfer} transfer @param {string} who  at the other end @param {Acts} acts */
  constructor(transfer, who, acts) {
    this.#acts = acts;
    this.#name = transfer.name;
    const title = silence(make("p", "title"), transfer.name);
    title.title = transfer.name;
    this.#off.type = "button";
    this.#off.addEventListener("click", () => this.#ways.forEach(({ transfer }) => acts.callOff(transfer)));
    const head = make("div", "head", icon("file"), make("div", "", title, this.#state), this.#off);
    this.element = make("div", "parcel", head, this.#bar, this.#people, this.#choices);
    this.#bar.setAttribute("aria-label", transfer.name);
    if (transfer.way === "out" && transfer.file) this.#picture(transfer.file);
    this.add(transfer, who);
  }

  /** The same file goes to somebody else, too. @param {Transfer} transfer @param {string} who */
  add(transfer, who) {
    const state = make("span");
    this.#ways.push({ transfer, who, state });
    this.#people.append(make("li", "", silence(make("span", "to"), who), state));
    this.draw();
  }

  draw() {
    const stages = this.#ways.map(({ transfer }) => transfer.stage);
    const shown = stages.join();
    const isNews = shown !== this.#shown;
    const now = performance.now();
    if (!isNews && now - this.#drawnAt < REDRAW) return;
    this.#drawnAt = now;
    // The chat is read aloud, but not each step of the way.
    for (const element of [this.#state, this.#people]) {
      if (isNews) element.removeAttribute("aria-live");
      else element.setAttribute("aria-live", "off");
    }
    this.#tell(stages);
    if (!isNews) return;
    this.#shown = shown;
    const [{ transfer }] = this.#ways;
    this.#off.hidden = !stages.some((stage) => stage === "moving" || (stage === "offered" && transfer.way === "out"));
    this.#choices.replaceChildren(...this.#offer(transfer));
  }

  /** Lets go of the file. */
  close() {
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
  }

  /** @param {string[]} stages */
  #tell(stages) {
    const going = this.#ways.map(({ transfer }) => transfer).filter(({ stage }) => stage !== "off");
    this.#bar.hidden = !stages.includes("moving");
    this.#bar.max = Math.max(1, going.reduce((sum, { size: whole }) => sum + whole, 0));
    this.#bar.value = going.reduce((sum, { moved }) => sum + moved, 0);
    const [only, ...others] = this.#ways;
    this.#people.hidden = others.length === 0;
    if (others.length === 0) return this.#say(this.#state, only.transfer, only.who);
    silence(this.#state, size(only.transfer.size));
    for (const { transfer, who, state } of this.#ways) this.#say(state, transfer, who);
  }

  /** @param {HTMLElement} state @param {Transfer} transfer @param {string} name */
  #say(state, { stage, way, why = "cancelled", moved, size: whole }, name) {
    const isOneOfMany = this.#ways.length > 1;
    if (stage === "moving") say(state, "file.moving", { moved: size(moved), size: size(whole) });
    else if (stage === "off") say(state, `file.off.${why}`, { name });
    else if (isOneOfMany) say(state, `file.${stage}.one`);
    else say(state, `file.${stage}.${way}`, { size: size(whole), name });
  }

  /** @param {Transfer} transfer */
  #offer(transfer) {
    const { stage, way, file } = transfer;
    if (way === "out") return [];
    if (stage === "offered") {
      return [this.#button("file.accept", () => this.#acts.accept(transfer), "primary"), this.#button("file.refuse", () => this.#acts.callOff(transfer))];
    }
    return stage === "done" && file ? [this.#save(file)] : [];
  }

  /** Whoever has accepted a file wants to have it: it is saved at once. The link saves it again. @param {Blob} file */
  #save(file) {
    const link = make("a", "button", icon("download", "small"), say(make("span"), "file.save"));
    link.href = this.#url(file);
    link.download = this.#name;
    link.click();
    this.#picture(file);
    return link;
  }

  /** @param {Blob} file */
  async #picture(file) {
    const picture = await pictureIn(file).catch(() => null);
    if (!picture) return;
    const image = make("img");
    image.alt = "";
    image.src = this.#url(picture);
    image.addEventListener("error", () => image.remove());
    this.element.prepend(image);
  }

  /** @param {Blob} blob */
  #url(blob) {
    const url = URL.createObjectURL(blob);
    this.#urls.push(url);
    return url;
  }

  /** @param {import("../wire/i18n.js").Key} key @param {() => void} act @param {string} [className] */
  #button(key, act, className = "") {
    const button = say(make("button", className), key);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
}
