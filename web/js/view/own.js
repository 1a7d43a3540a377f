// @ts-check
/** What one can do with one's own tiles: move and hide one's picture, stop sharing. */

import { cornerBeside, cornerNear } from "../wire/corner.js";
import { icon, make } from "./dom.js";
import { label, say } from "./language.js";

/** @typedef {import("../wire/arrange.js").Corner} Corner */
/** @typedef {{ stop: () => void, hide: () => void, corner: () => Corner, move: (corner: Corner) => void }} Does */

/** A finger that moves less has pressed. */
const STILL = 6;
const ARROWS = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"];

/** @param {import("./tile.js").Tile} tile @param {boolean} isScreen @param {Does} does */
export function ownTools({ element }, isScreen, does) {
  if (isScreen) {
    const stop = say(make("button"), "tile.stop");
    stop.type = "button";
    stop.addEventListener("click", does.stop);
    return element.append(make("div", "sharing", icon("screen"), say(make("p"), "tile.sharing"), stop));
  }
  const move = tool("move", "move", "tile.move", () => does.move(cornerBeside(does.corner(), "")));
  move.addEventListener("keydown", (event) => {
    if (!ARROWS.includes(event.key)) return;
    event.preventDefault();
    does.move(cornerBeside(does.corner(), event.key));
  });
  // A touch, which does not hover, shows them, too.
  element.tabIndex = -1;
  element.append(make("div", "own", move, tool("hide", "none", "tile.hide", does.hide)));
  drag(element, does.move);
}

/** @param {string} name @param {string} drawn @param {import("../wire/i18n.js").Key} key @param {() => void} act */
function tool(name, drawn, key, act) {
  const it = label(make("button", `only-icon ${name}`, icon(drawn, "small")), key);
  it.type = "button";
  it.addEventListener("click", act);
  return it;
}

/** To the corner next to where it is let go. @param {HTMLElement} element @param {(corner: Corner) => void} move */
function drag(element, move) {
  /** @type {{ x: number, y: number } | null} */
  let from = null;
  element.addEventListener("pointerdown", ({ clientX: x, clientY: y, target, button, pointerId }) => {
    const isOnButton = target instanceof Element && target.closest("button");
    if (button !== 0 || isOnButton || !element.classList.contains("overlay")) return;
    from = { x, y };
    element.setPointerCapture(pointerId);
  });
  element.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (!from) return;
    const [x, y] = [clientX - from.x, clientY - from.y];
    if (Math.hypot(x, y) > STILL) element.classList.add("moving");
    if (element.classList.contains("moving")) element.style.translate = `${x}px ${y}px`;
  });
  const end = (/** @type {PointerEvent} */ { type }) => {
    const wasMoved = from && element.classList.contains("moving");
    const { x, y, width, height } = element.getBoundingClientRect();
    from = null;
    element.classList.remove("moving");
    element.style.translate = "";
    const stage = element.parentElement?.getBoundingClientRect();
    if (wasMoved && stage && type === "pointerup") move(cornerNear({ x: x + width / 2, y: y + height / 2 }, stage));
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
}
