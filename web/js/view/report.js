// @ts-check
/** Runs the check and shows what becomes of it, line by line. */

import { Checkup, WAYS } from "../wire/checkup.js";
import { systemClock } from "../wire/clock.js";
import { askDoor, isLasting, rightPlace } from "../wire/door.js";
import { isKey } from "../wire/i18n.js";
import { socketAt } from "../wire/link.js";
import { cannotLookUp } from "../wire/literals.js";
import { HOME } from "../wire/place.js";
import { button, find, html, icon, make, setIcon } from "./dom.js";
import { rate, share, time } from "./figures.js";
import { onLanguage, say, silence } from "./language.js";
import { recall } from "./memory.js";
import { copy } from "./toasts.js";

/** @typedef {import("../wire/checkup.js").Way} Way */
/** @typedef {import("../wire/checkup.js").Loop} Loop */
/** @typedef {import("../wire/checkup.js").Verdict} Verdict */
/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {"good" | "fair" | "bad" | "none"} Mood */

/** From this part of the server's limit on, the limit was measured, not the network: it counts headers, and a connection begins slowly. */
const LIMITED = 0.8;
const ICONS = { good: "check", fair: "warn", bad: "close", none: "none" };

export class Report {
  /** @type {Map<Way, Verdict>} */
  #verdicts = new Map();
  /** @type {Loop | null} */
  #loop = null;

  constructor() {
    button("again").addEventListener("click", () => this.run());
    button("copy").addEventListener("click", () => this.#copy());
    onLanguage(() => this.#drawFigures());
  }

  async run() {
    this.#begin();
    if (!("RTCPeerConnection" in window)) return this.#giveUp();
    const socketUrl = socketAt(location);
    const ask = () => askDoor(fetch, systemClock);
    const checkup = new Checkup({ RTCPeerConnection, WebSocket, socketUrl, fetchIce, askDoor: ask, origin: location.origin, clock: systemClock });
    checkup.on("verdict", (way, verdict) => {
      this.#verdicts.set(way, verdict);
      this.#draw(way, verdict);
    });
    checkup.on("looping", (way) => say(html("loop-text"), "check.loop.busy", { transport: way.toUpperCase() }));
    checkup.on("loop", (loop) => this.#looped(loop));
    try {
      await checkup.run();
      this.#sumUp();
    } catch (error) {
      this.#excuse(error instanceof Error ? error.message : "");
      for (const way of WAYS) if (!this.#verdicts.has(way) && way !== "rooms") html(`way-${way}`).remove();
      html("loop").hidden = true;
    }
    button("again").disabled = button("copy").disabled = false;
  }

  #begin() {
    this.#verdicts.clear();
    this.#loop = null;
    button("again").disabled = button("copy").disabled = true;
    html("ways").replaceChildren(...WAYS.map(line));
    html("summary").removeAttribute("data-mood");
    html("there").hidden = true;
    setIcon(html("summary"), "wave");
    html("summary").querySelector(".mark")?.classList.add("busy");
    say(html("summary-text"), "check.busy");
    say(html("loop-text"), "check.loop.waiting");
    html("figures").replaceChildren();
    html("loop").hidden = false;
  }

  /** @param {Way} way @param {Verdict} verdict */
  #draw(way, { outcome, ms, url, address, detail, why }) {
    const shown = html(`way-${way}`);
    const mood = moodOf(outcome);
    shown.dataset.mood = mood;
    shown.replaceChildren(
      make("span", "mark", icon(ICONS[mood])),
      say(make("h2"), `check.way.${way}`),
      mood === "none" ? make("span") : make("span", "time", time(Math.round(ms))),
      say(make("p", "what small soft"), sentence(outcome, way), { address, expected: why?.expected ?? "" }),
    );
    if (url) shown.append(make("p", "what detail", placeOf(url)));
    // The browser's own message helps developers, but only for a fault that has no explanation of ours.
    if (detail && mood === "bad" && !why) shown.append(make("p", "what detail", detail));
  }

  /** @param {Loop | null} loop */
  #looped(loop) {
    this.#loop = loop;
    const isPossible = [...this.#verdicts].some(([way, { outcome }]) => isRelay(way) && (outcome === "ok" || outcome === "literal"));
    if (loop) say(html("loop-text"), "check.loop.done", { transport: loop.way.toUpperCase() });
    else say(html("loop-text"), isPossible ? "check.loop.failed" : "check.loop.none");
    this.#drawFigures();
  }

  #drawFigures() {
    if (!this.#loop) return;
    const { rtt, loss, throughput, limit = Infinity } = this.#loop;
    const figure = (/** @type {Key} */ key, /** @type {HTMLElement} */ value) => make("div", "", say(make("dt"), key), value);
    const fast = make("dd");
    if (throughput === null) silence(fast, "–");
    else say(fast, "check.atLeast", { rate: rate(Math.min(throughput, limit)) });
    const isLimited = throughput !== null && throughput > LIMITED * limit;
    html("figures").replaceChildren(
      figure("check.rtt", make("dd", "", time(rtt))),
      figure("check.loss", make("dd", "", share(loss))),
      figure(isLimited ? "check.throughput.limit" : "check.throughput", fast),
    );
  }

  #sumUp() {
    const works = (/** @type {Way} */ way) => ["ok", "no_nat", "literal"].includes(this.#verdicts.get(way)?.outcome ?? "");
    if (this.#isElsewhere()) return;
    const offered = WAYS.filter((way) => this.#verdicts.get(way)?.outcome !== "missing");
    const relayed = offered.some((way) => isRelay(way) && works(way));
    if (!offered.some(works)) return this.#conclude("bad", "check.summary.none");
    if (!works("rooms")) return this.#conclude("bad", "check.summary.rooms");
    if (!relayed && cannotLookUp(navigator.userAgent)) return this.#conclude("bad", "check.summary.safari");
    if (!relayed || !this.#loop) return this.#conclude("bad", "check.summary.direct");
    if (!offered.every(works)) return this.#conclude("fair", "check.summary.relay");
    const missing = WAYS.filter((way) => !offered.includes(way));
    if (missing.length === 0) return this.#conclude("good", "check.summary.good");
    const isTls = missing.length === 1 && missing[0] === "tls";
    return this.#conclude("good", isTls ? "check.summary.no_tls" : "check.summary.missing");
  }

  /** Why the server gives no credentials. @param {string} status */
  #excuse(status) {
    if (this.#isElsewhere()) return;
    if (status === "429") return this.#conclude("fair", "check.summary.limited");
    if (this.#verdicts.get("rooms")?.outcome !== "ok") return this.#conclude("bad", "check.summary.refused");
    if (status === "401") return this.#conclude("fair", "check.summary.token");
    return this.#conclude("bad", "check.summary.refused");
  }

  /** A page at an address that is not the server's has nothing else to say. */
  #isElsewhere() {
    const why = this.#verdicts.get("rooms")?.why;
    if (!why || !isLasting(why)) return false;
    const { reason, origin, expected } = why;
    this.#conclude("bad", /** @type {Key} */ (`notice.${reason}.text`), { origin, expected });
    html("there").hidden = reason !== "elsewhere";
    find("there", HTMLAnchorElement).href = rightPlace(why, location);
    return true;
  }

  /** There is nothing that this browser could check with. */
  #giveUp() {
    for (const it of ["ways", "loop", "again", "copy"]) html(it).hidden = true;
    this.#conclude("bad", "notice.unsupported.title");
  }

  /** @param {Mood} mood @param {Key} key @param {import("../wire/i18n.js").Values} [values] */
  #conclude(mood, key, values) {
    html("summary").dataset.mood = mood;
    setIcon(html("summary"), ICONS[mood]);
    html("summary").querySelector(".mark")?.classList.remove("busy");
    say(html("summary-text"), key, values);
  }

  #copy() {
    const report = {
      at: new Date().toISOString(),
      page: location.origin,
      browser: navigator.userAgent,
      ways: Object.fromEntries(this.#verdicts),
      loop: this.#loop,
    };
    copy(JSON.stringify(report, null, 2), "check.copied");
  }
}

/** @param {Way} way */
function line(way) {
  const shown = make(
    "li",
    "",
    make("span", "mark busy", icon("wave")),
    say(make("h2"), `check.way.${way}`),
    make("span"),
    say(make("p", "what small soft"), "check.busy"),
  );
  shown.id = `way-${way}`;
  return shown;
}

/** Host and port, by which an operator knows the listener. @param {string} url */
function placeOf(url) {
  return url.replace(/^\w+:(\/\/)?/, "").replace(/[/?].*$/, "");
}

/** @param {Verdict["outcome"]} outcome @returns {Mood} */
function moodOf(outcome) {
  if (outcome === "ok" || outcome === "no_nat") return "good";
  if (outcome === "literal") return "fair";
  return outcome === "missing" ? "none" : "bad";
}

/** What it means for this way, or for all. @param {Verdict["outcome"]} outcome @param {Way} way @returns {Key} */
function sentence(outcome, way) {
  const special = `check.${outcome}.${way}`;
  return isKey(special) ? special : /** @type {Key} */ (`check.${outcome}`);
}

/** @param {Way} way */
function isRelay(way) {
  return way === "udp" || way === "tcp" || way === "tls";
}

/** Credentials for this page only, valid for two minutes. */
async function fetchIce() {
  // Where not everybody may open rooms, not everybody may test the relay.
  const token = recall("room-token");
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  const response = await fetch(`${HOME}api/v1/check-ice`, { method: "POST", headers });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}
