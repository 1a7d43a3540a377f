// @ts-check
/** Hands and reactions: the button for both, what floats over the pictures, and what is read aloud of it. */

import { SIGNS } from "../wire/reactions.js";
import { button, html, make } from "./dom.js";
import { label, list, say, text } from "./language.js";
import { recall } from "./memory.js";
import { offer } from "./more.js";
import { toast } from "./toasts.js";

/** @typedef {import("../wire/reactions.js").Sign} Sign */
/** @typedef {import("../wire/room.js").Member} Member */

/** How long a reaction is seen. */
const SEEN = 4_000;
/** Reactions within this time are read aloud as one. */
const GATHERED = 1_500;
const SELF = "self";

export class Gestures {
  #room;
  #hands;
  #reactions;
  #stage;
  #bar = html("gestures");
  #hand = make("button");
  /** Who has reacted lately, and how. @type {Map<Sign, Set<string>>} */
  #unsaid = new Map();

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {import("../wire/hands.js").Hands} parts.hands
   * @param {import("../wire/reactions.js").Reactions} parts.reactions
   * @param {import("./stage.js").Stage} parts.stage
   */
  constructor({ room, hands, reactions, stage }) {
    this.#room = room;
    this.#hands = hands;
    this.#reactions = reactions;
    this.#stage = stage;
    hands.on("raised", ({ name }) => toast("hand.raised", { name }));
    hands.on("lowered", () => toast("hand.lowered"));
    reactions.on("reaction", (member, sign) => this.#see(member, sign));
    room.on("me", () => this.#draw());
    this.#hand.type = "button";
    this.#hand.dataset.keys = "H";
    if (recall("keys") !== "off") this.#hand.setAttribute("aria-keyshortcuts", "H");
    this.#hand.addEventListener("click", () => this.switchHand());
    this.#bar.append(...Object.entries(SIGNS).map(([sign, name]) => this.#choice(/** @type {Sign} */ (sign), name)), this.#hand);
    label(button("react"), "hand.open").popoverTargetElement = this.#bar;
    offer(() => (button("react").offsetParent ? null : { key: "hand.open", icon: "react", act: () => this.#bar.showPopover() }));
    this.#draw();
  }

  switchHand() {
    this.#hands.raise(!this.#room.me.state.hand);
  }

  close() {
    if (this.#bar.matches(":popover-open")) this.#bar.hidePopover();
  }

  #draw() {
    const isUp = this.#room.me.state.hand;
    say(this.#hand, isUp ? "hand.lower" : "hand.raise");
    button("react").classList.toggle("on", isUp);
  }

  /** @param {Sign} sign @param {typeof SIGNS[Sign]} name */
  #choice(sign, name) {
    const it = label(make("button", "plain only-icon sign", sign), `reaction.${name}`);
    it.type = "button";
    it.addEventListener("click", () => this.#reactions.react(sign));
    return it;
  }

  /** @param {Member | null} member @param {Sign} sign */
  #see(member, sign) {
    const shown = make("span", "reaction", sign);
    shown.ariaHidden = "true";
    // Several at once do not cover each other.
    shown.style.setProperty("--at", `${20 + Math.random() * 60}%`);
    this.#stage.tile(member?.id ?? SELF)?.element.append(shown);
    setTimeout(() => shown.remove(), SEEN);
    if (member) this.#gather(member.name, sign);
  }

  /** @param {string} name @param {Sign} sign */
  #gather(name, sign) {
    if (this.#unsaid.size === 0) setTimeout(() => this.#tell(), GATHERED);
    this.#unsaid.set(sign, (this.#unsaid.get(sign) ?? new Set()).add(name));
  }

  #tell() {
    const all = [...this.#unsaid].map(([sign, names]) => text("reaction.said", { names: list([...names]), what: text(`reaction.${SIGNS[sign]}`) }));
    this.#unsaid.clear();
    html("spoken").textContent = all.join(" ");
  }
}
