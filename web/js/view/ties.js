// @ts-check
/** The sheet "how am I connected": a card for each of the others, the relay switch, and the report. */

import { Tie } from "./tie.js";
import { button, html, input } from "./dom.js";
import { rate } from "./figures.js";
import { say } from "./language.js";
import { remember } from "./memory.js";
import { copy, toast } from "./toasts.js";

/** @typedef {import("../wire/room.js").Member} Member */

export class Ties {
  #room;
  #signaling;
  #meter;
  #safety;
  /** @type {Map<string, Tie>} */
  #ties = new Map();

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {import("../wire/signaling.js").Signaling} parts.signaling
   * @param {import("./meter.js").Meter} parts.meter
   * @param {import("../wire/safety.js").Safety} parts.safety
   * @param {() => boolean} parts.isShown
   */
  constructor({ room, signaling, meter, safety, isShown }) {
    this.#room = room;
    this.#signaling = signaling;
    this.#meter = meter;
    this.#safety = safety;
    safety.on("changed", (member) => {
      if (isShown()) this.draw(member);
      this.#warn(member);
    });
    input("relay-only").checked = room.policy === "relay";
    input("relay-only").addEventListener("change", () => {
      const only = input("relay-only").checked;
      remember("relay-only", only ? "yes" : "");
      this.#useRelay(only);
    });
    button("copy-report").addEventListener("click", () => this.#copyReport());
  }

  /** @param {Member} member */
  add(member) {
    const tie = new Tie();
    this.#ties.set(member.id, tie);
    html("connections").append(tie.element);
    member.peer.on("struggling", () => this.#offerRelay(member));
    this.#count();
  }

  /** @param {string} id */
  remove(id) {
    this.#ties.get(id)?.element.remove();
    this.#ties.delete(id);
    this.#count();
  }

  /** @param {Member} member */
  draw({ id, name }) {
    this.#ties.get(id)?.draw(name, this.#meter.history(id).readings, this.#safety.of(id));
    this.#sum();
  }

  /** What all connections carry together. */
  #sum() {
    const last = [...this.#ties.keys()].map((id) => this.#meter.history(id).last).filter((it) => it !== null);
    html("connection-sum").hidden = last.length < 2;
    const of = (/** @type {"up" | "down"} */ way) => rate(last.reduce((sum, reading) => sum + reading[way], 0));
    say(html("connection-sum"), "connection.sum", { down: of("down"), up: of("up") });
  }

  /** @param {Member} member */
  #warn(member) {
    const { standing } = this.#safety.of(member.id);
    if (standing !== "changed" && standing !== "broken") return;
    const show = () => button("open-connection").click();
    // It is grave enough to wait until somebody has seen it.
    toast(`safety.${standing}`, { name: member.name }, ...(html("connection").offsetParent ? [] : [{ key: /** @type {const} */ ("panel.connection"), act: show, stays: true }]));
  }

  #count() {
    html("connection-empty").hidden = this.#ties.size > 0;
  }

  /** @param {Member} member */
  #offerRelay({ name }) {
    const isRelay = this.#room.policy === "relay";
    const way = isRelay ? "connection.relayless" : "connection.struggling";
    toast(way, { name }, { key: `${way}.act`, act: () => this.#useRelay(!isRelay) });
  }

  /** Where it was only offered to mend this call, the next one begins as before. @param {boolean} only */
  #useRelay(only) {
    input("relay-only").checked = only;
    this.#room.setPolicy(only ? "relay" : "all");
  }

  #copyReport() {
    const peers = [...this.#room.members.values()].map((member) => ({
      name: member.name,
      state: member.peer.state,
      quality: this.#meter.quality(member),
      readings: this.#meter.history(member.id).readings,
    }));
    const report = {
      at: new Date().toISOString(),
      browser: navigator.userAgent,
      policy: this.#room.policy,
      serverRtt: this.#signaling.rtt,
      peers,
    };
    copy(JSON.stringify(report, null, 2), "connection.copied", button("copy-report").querySelector("span") ?? undefined);
  }
}
