// @ts-check
/** An hour of one or two numbers as lines, with the time below and the highest value beside. */

import { make, svg } from "./dom.js";
import { label } from "./language.js";

/** @typedef {import("../wire/observed.js").Point} Point */
/** @typedef {{ points: Point[], name: string }} Line */

const WIDTH = 360;
const HEIGHT = 96;
const HOUR = 3600;
/** Samples that lie further apart belong to two lines: nobody took any in between. */
const GAP = 60;

export class Chart {
  #first = svg("path", { class: "first" });
  #second = svg("path", { class: "second" });
  #area = svg("path", { class: "area" });
  #most = make("span", "most");
  #picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    svg("path", { class: "grid", d: `M0 0.5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}` }),
    svg("path", { class: "base", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }),
    this.#area,
    this.#second,
    this.#first,
  );
  #from = make("span");
  element = make("figure", "chart", this.#most, this.#picture, make("figcaption", "small soft", this.#from, make("span")));

  /**
   * @param {Point[][]} lines  one or two
   * @param {{ now: number, least: number, write: (value: number) => string, name: import("../wire/i18n.js").Key, values?: import("../wire/i18n.js").Values, from: string, until: string }} options
   */
  draw(lines, { now, least, write, name, values, from, until }) {
    const [first = [], second = []] = lines;
    const most = Math.max(least, ...first.map(({ value }) => value), ...second.map(({ value }) => value));
    this.#first.setAttribute("d", path(first, now, most));
    this.#second.setAttribute("d", path(second, now, most));
    this.#area.setAttribute("d", second.length ? "" : area(first, now, most));
    this.#most.textContent = write(most);
    this.#from.textContent = from;
    const last = this.element.querySelector("figcaption")?.lastElementChild;
    if (last) last.textContent = until;
    label(this.#picture, name, values);
  }
}

/** @param {Point} point @param {number} now @param {number} most */
const place = ({ time, value }, now, most) => ({
  x: (WIDTH * (1 - (now - time) / HOUR)).toFixed(1),
  y: (HEIGHT - 1 - (value / most) * (HEIGHT - 4)).toFixed(1),
});

/** @param {Point[]} points @param {number} now @param {number} most */
function path(points, now, most) {
  return points
    .map((point, i) => {
      const { x, y } = place(point, now, most);
      const isNew = i === 0 || point.time - points[i - 1].time > GAP;
      return `${isNew ? "M" : "L"}${x} ${y}`;
    })
    .join("");
}

/** @param {Point[]} points @param {number} now @param {number} most */
function area(points, now, most) {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return "";
  const foot = (/** @type {Point} */ point) => `L${place(point, now, most).x} ${HEIGHT}`;
  return `${path(points, now, most).replaceAll("M", "L").replace("L", "M")}${foot(last)}${foot(first)}Z`;
}
