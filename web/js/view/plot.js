// @ts-check
/** The last minute of a connection as two lines. */

import { svg } from "./dom.js";
import { rate } from "./figures.js";
import { label } from "./language.js";

/** @typedef {import("../wire/stats.js").Reading} Reading */

const SECONDS = 60;
const HEIGHT = 40;
/** Less than this is drawn small, however little else there is. */
const LEAST = 100_000;

export class Plot {
  #down = svg("path", { class: "down" });
  #up = svg("path", { class: "up" });
  element = svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${SECONDS - 1} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    svg("path", { class: "base", d: `M0 ${HEIGHT}H${SECONDS - 1}` }),
    this.#up,
    this.#down,
  );

  /** @param {Reading[]} readings */
  draw(readings) {
    const most = Math.max(LEAST, ...readings.map(({ down, up }) => Math.max(down, up)));
    const line = (/** @type {"down" | "up"} */ what) =>
      readings
        .map((reading, i) => {
          const x = SECONDS - readings.length + i;
          return `${i ? "L" : "M"}${x} ${(HEIGHT - 1 - (reading[what] / most) * (HEIGHT - 3)).toFixed(1)}`;
        })
        .join("");
    this.#down.setAttribute("d", line("down"));
    this.#up.setAttribute("d", line("up"));
    const last = readings.at(-1);
    label(this.element, "connection.plot", { down: rate(last?.down ?? 0), up: rate(last?.up ?? 0) });
  }
}
