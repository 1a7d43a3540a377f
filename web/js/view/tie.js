// @ts-check
/** How one is connected with one of the others, in words, figures and a plot. */

import { make } from "./dom.js";
import { rate, share, time } from "./figures.js";
import { say, silence, text } from "./language.js";
import { Plot } from "./plot.js";
import { Proof } from "./proof.js";

/** @typedef {import("../wire/stats.js").Path} Path */
/** @typedef {import("../wire/stats.js").Reading} Reading */
/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {"rtt" | "down" | "up" | "loss" | "jitter" | "fps" | "resolution" | "sent" | "codec" | "limit"} Figure */

/** @type {Figure[]} */
const FIGURES = ["rtt", "down", "up", "loss", "jitter", "fps", "resolution", "sent", "codec", "limit"];
/** What keeps the picture that is sent from being better. @type {Record<string, Key>} */
const LIMITS = { bandwidth: "connection.limit.bandwidth", cpu: "connection.limit.cpu" };

export class Tie {
  #name = make("h2");
  #way = make("p", "way");
  #pair = make("span", "pair");
  #plot = new Plot();
  #proof = new Proof();
  /** @type {Map<Figure, HTMLElement>} */
  #figures = new Map(FIGURES.map((figure) => [figure, make("dd")]));
  element;

  constructor() {
    const list = make("dl");
    for (const [figure, shown] of this.#figures) {
      list.append(make("div", "", say(make("dt"), `connection.${figure}`), shown));
    }
    const key = (/** @type {"down" | "up"} */ what) =>
      make("span", what, make("i"), say(make("span"), `connection.${what}`));
    const legend = make("p", "legend", key("down"), key("up"), say(make("span"), "connection.minute"));
    this.element = make("article", "tie", this.#name, this.#way, this.#pair, list, this.#plot.element, legend, this.#proof.element);
  }

  /** @param {string} name @param {Reading[]} readings @param {ReturnType<import("../wire/safety.js").Safety["of"]>} proof */
  draw(name, readings, proof) {
    this.#proof.draw(name, proof);
    const last = readings.at(-1);
    silence(this.#name, name);
    if (!last) return void say(this.#way, "tile.connecting");
    if (last.path) {
      say(this.#way, ...inWords(last.path, name));
      this.#pair.textContent = inShort(last.path);
    }
    const texts = {
      rtt: time(last.rtt),
      down: rate(last.down),
      up: rate(last.up),
      loss: share(last.loss),
      jitter: time(last.jitter),
      fps: last.fps === null ? "–" : String(Math.round(last.fps)),
      resolution: last.resolution ?? "–",
      sent: last.out.resolution ?? "–",
      codec: last.out.codec ?? "–",
      limit: last.out.limit in LIMITS ? text(LIMITS[last.out.limit]) : "–",
    };
    for (const figure of FIGURES) silence(/** @type {HTMLElement} */ (this.#figures.get(figure)), texts[figure]);
    this.#plot.draw(readings);
  }
}

/** @param {Path} path @param {string} name @returns {[Key, import("../wire/i18n.js").Values]} */
function inWords({ local, remote, protocol }, name) {
  const [type, transport] = local.split("/");
  if (type === "relay") return ["connection.relayed", { transport: (transport ?? protocol).toUpperCase() }];
  if (remote === "relay") return ["connection.relayed.theirs", { name }];
  return [type === "host" && remote === "host" ? "connection.local" : "connection.direct", {}];
}

/** For those who know what it means. @param {Path} path */
function inShort({ local, remote, protocol }) {
  return `${local} ↔ ${remote} (${protocol})`;
}
