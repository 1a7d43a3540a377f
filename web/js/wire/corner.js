// @ts-check
/** The corners of the stage that one's own picture may stand in. */

/** @typedef {import("./arrange.js").Corner} Corner */

/** Clockwise. @type {Corner[]} */
const CORNERS = ["top-left", "top-right", "bottom-right", "bottom-left"];

/** @param {string} name  as it was remembered @returns {Corner} */
export function cornerNamed(name) {
  return CORNERS.find((corner) => corner === name) ?? "bottom-right";
}

/** Where a key leads: an arrow there, any other to the next corner. @param {Corner} corner @param {string} key */
export function cornerBeside(corner, key) {
  const [high, side] = corner.split("-");
  if (key === "ArrowUp" || key === "ArrowDown") return cornerNamed(`${key === "ArrowUp" ? "top" : "bottom"}-${side}`);
  if (key === "ArrowLeft" || key === "ArrowRight") return cornerNamed(`${high}-${key === "ArrowLeft" ? "left" : "right"}`);
  return CORNERS[(CORNERS.indexOf(corner) + 1) % CORNERS.length];
}

/** The corner next to a point. @param {{ x: number, y: number }} point @param {import("./arrange.js").Box} box */
export function cornerNear(point, { x, y, width, height }) {
  return cornerNamed(`${point.y < y + height / 2 ? "top" : "bottom"}-${point.x < x + width / 2 ? "left" : "right"}`);
}
