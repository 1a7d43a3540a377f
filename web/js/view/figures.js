// @ts-check
/** Writes quantities the way people read them. */

import { number } from "./language.js";

const NONE = "–";

/** @param {number | null} value  milliseconds */
export function time(value) {
  if (value === null) return NONE;
  if (value >= 1000) return `${number(value / 1000, { maximumFractionDigits: 1 })} s`;
  return `${number(value, { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
}

/** @param {number | null} value  bit/s */
export function rate(value) {
  if (value === null) return NONE;
  return scaled(value, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]);
}

/** @param {number} value  bytes */
export function size(value) {
  return scaled(value, 1000, ["B", "kB", "MB", "GB"]);
}

/** @param {number | null} value  0 to 1 */
export function share(value) {
  return value === null ? NONE : number(value, { style: "percent", maximumFractionDigits: value < 0.1 ? 1 : 0 });
}

/** @param {number} value @param {number} step @param {string[]} units */
function scaled(value, step, units) {
  let [rest, unit] = [value, 0];
  while (rest >= step && unit + 1 < units.length) [rest, unit] = [rest / step, unit + 1];
  const digits = unit === 0 || rest >= 100 ? 0 : 1;
  return `${number(rest, { maximumFractionDigits: digits })} ${units[unit]}`;
}
