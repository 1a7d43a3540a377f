// @ts-check
/** Shows what the daemon tells its administrators: a card for each part, each with its last hour and a table. */

import { systemClock } from "../wire/clock.js";
import { Admin, Refused, allocations, causes, levels, limits, rates, summary, topUsers } from "../wire/observed.js";
import { Chart } from "./chart.js";
import { html, input, make } from "./dom.js";
import { rate, share, size } from "./figures.js";
import { currentLanguage, number, onLanguage, say, silence, text } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {import("../wire/observed.js").Observed} Observed */
/** @typedef {import("../wire/observed.js").Sample} Sample */
/** @typedef {import("../wire/observed.js").Session} Session */
/** @typedef {{ observed: Observed, samples: Sample[], sessions: Session[] }} Picture */

/** Milliseconds between two questions. */
const PERIOD = 5_000;
const DAY = 86_400;
/** Rows of a table; the rest is summed. */
const ROWS = 8;
/** Address families as people write them. @type {Record<string, string>} */
const FAMILIES = { ipv4: "IPv4", ipv6: "IPv6", both: "IPv4 + IPv6" };
/** From this share on, a limit is near. */
const NEAR = 0.8;

export class Status {
  #admin = new Admin((...request) => fetch(...request));
  /** @type {Picture | null} */
  #picture = null;
  #charts = { throughput: new Chart(), sessions: new Chart(), failures: new Chart(), people: new Chart() };

  start() {
    this.#admin.token = recallToken();
    html("login").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#admin.token = input("token").value.trim();
      this.#ask();
    });
    onLanguage(() => this.#draw());
    this.#again();
  }

  async #again() {
    await this.#ask();
    systemClock.after(PERIOD, () => this.#again());
  }

  async #ask() {
    try {
      const [observed, { samples }, sessions] = await Promise.all([
        this.#admin.ask("/status"),
        this.#admin.ask("/history"),
        this.#admin.ask("/sessions?sort=rate&limit=1000").then(({ sessions }) => sessions),
      ]);
      this.#picture = { observed, samples, sessions };
      rememberToken(this.#admin.token);
      html("login").hidden = true;
      this.#draw();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    const isClosed = error instanceof Refused && error.status === 401;
    html("summary").dataset.mood = isClosed ? "fair" : "bad";
    say(html("summary-text"), isClosed ? "admin.closed" : this.#picture ? "admin.silent" : "admin.unreachable");
    html("login").hidden = !isClosed;
    html("token-wrong").hidden = !isClosed || !this.#admin.token;
    if (isClosed) html("cards").replaceChildren();
  }

  #draw() {
    if (!this.#picture) return;
    const { observed } = this.#picture;
    const count = allocations(observed);
    html("summary").dataset.mood = observed.lifecycle === "serving" ? "good" : "fair";
    if (observed.lifecycle === "serving") say(html("summary-text"), "admin.serving", { since: moment(observed.started), version: observed.version });
    else say(html("summary-text"), "admin.draining", { count: number(count) });
    html("cards").replaceChildren(
      this.#throughput(this.#picture),
      this.#sessions(this.#picture),
      users(this.#picture.sessions),
      this.#failures(this.#picture),
      this.#people(this.#picture),
      room(observed),
      certificate(observed),
    );
  }

  /** @param {Picture} picture */
  #throughput({ samples }) {
    const bits = (/** @type {"up" | "down"} */ way) => rates(samples, (sample) => sample[way].bytes * 8);
    const [up, down] = [bits("up"), bits("down")];
    const row = (/** @type {Key} */ name, /** @type {string} */ line, /** @type {typeof up} */ points) => {
      const { now, average, most } = summary(points);
      return [dot(say(make("span"), name), line), rate(now), rate(average), rate(most)];
    };
    this.#chart("throughput", [up, down], { least: 1_000_000, write: rate, name: "admin.throughput.plot", values: { up: rate(summary(up).now), down: rate(summary(down).now) } });
    const rows = table(["", "admin.now", "admin.average", "admin.most"], [row("admin.up", "first", up), row("admin.down", "second", down)]);
    rows.classList.add("averages");
    return card("admin.throughput", this.#charts.throughput.element, rows);
  }

  /** @param {Picture} picture */
  #sessions({ observed, samples }) {
    const points = levels(samples, (sample) => sample.allocations);
    this.#chart("sessions", [points], { least: 4, write: number, name: "admin.sessions.plot", values: { count: number(allocations(observed)) } });
    const rows = observed.relay.held.filter(({ count }) => count > 0).map((held) => [kind(held), number(held.count)]);
    return card("admin.sessions", this.#charts.sessions.element, table(["admin.kind", "admin.count"], rows), number(allocations(observed)));
  }

  /** @param {Picture} picture */
  #failures({ observed, samples }) {
    const points = rates(samples, (sample) => sample.refused * 60);
    this.#chart("failures", [points], { least: 10, write: number0, name: "admin.failures.plot", values: { count: number0(summary(points).now) } });
    const rows = causes(observed).slice(0, ROWS).map(({ method, code, reason, count }) => [`${method} ${code}`, words(reason), number(count)]);
    const dropped = Object.entries(observed.relay.ignored).filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one);
    rows.push(...dropped.slice(0, ROWS / 2).map(([reason, count]) => [text("admin.dropped"), words(reason), number(count)]));
    return card("admin.failures", this.#charts.failures.element, table(["admin.answer", "admin.cause", "admin.count"], rows));
  }

  /** @param {Picture} picture */
  #people({ observed: { rooms, front }, samples }) {
    this.#chart("people", [levels(samples, ({ members }) => members), levels(samples, ({ connections }) => connections)], {
      least: 4,
      write: number,
      name: "admin.people.plot",
      values: { members: number(rooms.members), connections: number(front.connections) },
    });
    const rows = [
      [dot(say(make("span"), "admin.members"), "first"), number(rooms.members)],
      [dot(say(make("span"), "admin.connections"), "second"), number(front.connections)],
      [say(make("span"), "admin.rooms"), number(rooms.rooms)],
      [say(make("span"), "admin.sockets"), number(rooms.sockets)],
    ];
    return card("admin.people", this.#charts.people.element, table(["admin.what", "admin.count"], rows));
  }

  /**
   * @param {"throughput" | "sessions" | "failures" | "people"} which @param {import("../wire/observed.js").Point[][]} lines
   * @param {{ least: number, write: (value: number) => string, name: Key, values: import("../wire/i18n.js").Values }} options
   */
  #chart(which, lines, options) {
    const now = this.#picture?.samples.at(-1)?.time ?? Math.floor(Date.now() / 1000);
    this.#charts[which].draw(lines, { now, from: clock(now - 3600), until: clock(now), ...options });
  }
}

/** @param {Session[]} sessions */
function users(sessions) {
  const top = topUsers(sessions);
  const most = Math.max(1, ...top.map(({ bytes }) => bytes));
  const rows = top.slice(0, ROWS).map(({ user, sessions, bytes }) => [silence(make("span", "name"), user), number(sessions), meter(bytes / most, rate(bytes * 8))]);
  if (top.length > ROWS) rows.push([say(make("span", "soft"), "admin.others", { count: number(top.length - ROWS) }), "", ""]);
  return card("admin.users", table(["admin.user", "admin.sessions", "admin.rate"], rows));
}

/** @param {Observed} observed */
function room(observed) {
  const rows = limits(observed).map(({ what, used, most }) => {
    const part = most ? used / most : 0;
    return [say(make("span"), /** @type {Key} */ (`admin.limit.${what}`)), `${number(used)} / ${number(most)}`, meter(part, share(part), part > NEAR)];
  });
  const quotas = causes(observed).filter(({ reason }) => /quota|rate|capacity/.test(reason));
  rows.push(...quotas.slice(0, ROWS / 2).map(({ reason, count }) => [words(reason), say(make("span", "soft"), "admin.limit.refused", { count: number(count) }), ""]));
  return card("admin.limits", table(["admin.what", "admin.used", "admin.share"], rows));
}

/** @param {Observed} observed */
function certificate({ certificates, acme, process, started }) {
  const now = Math.floor(Date.now() / 1000);
  /** @type {(Node | string)[][]} */
  const rows = [];
  if (certificates) {
    const days = Math.floor((certificates.expiry - now) / DAY);
    const left = days < 0 ? say(make("span", "wrong"), "admin.expired") : say(make("span", days < 7 && acme?.failures !== 0 ? "wrong" : ""), "admin.days", { count: days });
    rows.push([say(make("span"), "admin.certificate"), left], [say(make("span"), "admin.certificate.refused"), number(certificates.refused)]);
  } else {
    rows.push([say(make("span"), "admin.certificate"), say(make("span", "soft"), "admin.certificate.none")]);
  }
  if (acme?.problem) rows.push([say(make("span"), "admin.acme"), make("span", "wrong", acme.problem)]);
  if (process) {
    const cpu = process.cpu_ms / 1000 / Math.max(1, now - started);
    rows.push([say(make("span"), "admin.memory"), size(process.resident_bytes)], [say(make("span"), "admin.cpu"), share(cpu)]);
  }
  return card("admin.machine", table(["admin.what", "admin.state"], rows));
}

/** @param {Key} title @param {HTMLElement} first @param {HTMLElement} [second] @param {string} [figure] */
function card(title, first, second, figure) {
  const heading = make("h2", "", say(make("span"), title), ...(figure ? [make("span", "figure", figure)] : []));
  return make("section", "card", heading, first, ...(second ? [second] : []));
}

/** @param {(Key | "")[]} heads @param {(Node | string)[][]} rows */
function table(heads, rows) {
  if (rows.length === 0) return say(make("p", "soft small"), "admin.nothing");
  const head = make("tr", "", ...heads.map((key) => (key ? say(make("th"), key) : make("td"))));
  const body = rows.map((cells) => make("tr", "", ...cells.map((cell) => make("td", "", cell))));
  return make("div", "scroll", make("table", "", make("thead", "", head), make("tbody", "", ...body)));
}

/** @param {HTMLElement} name @param {string} line */
const dot = (name, line) => make("span", "", make("span", `dot ${line}`), name);

/** @param {number} part  0 to 1 @param {string} words @param {boolean} [isNear] */
function meter(part, words, isNear = false) {
  const bar = make("span", isNear ? "fill near" : "fill");
  bar.style.inlineSize = `${Math.min(100, part * 100).toFixed(1)}%`;
  return make("span", "meter", make("span", "track", bar), make("span", "", words));
}

/** @param {{ transport: string, peer_transport: string, family: string }} held */
const kind = ({ transport, peer_transport, family }) => `${transport.toUpperCase()} → ${peer_transport.toUpperCase()}, ${FAMILIES[family] ?? family}`;
/** A reason as the metrics name it. @param {string} reason */
const words = (reason) => reason.replaceAll("_", " ");
/** @param {number} value */
const number0 = (value) => number(value, { maximumFractionDigits: 0 });
/** @param {number} time  Unix time */
const clock = (time) => new Intl.DateTimeFormat(currentLanguage(), { hour: "numeric", minute: "2-digit" }).format(time * 1000);
/** @param {number} time  Unix time */
const moment = (time) => new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "short" }).format(time * 1000);

/** The token stays in this tab. */
const TOKEN = "admin-token";

function recallToken() {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} token */
function rememberToken(token) {
  try {
    if (token) sessionStorage.setItem(TOKEN, token);
  } catch {
    // Then it is asked again after a reload.
  }
}
