// @ts-check
/** A menu that a button opens: a few words to choose from, with a pointer or with keys. */

import { icon, make } from "./dom.js";
import { say } from "./language.js";

/** @typedef {{ key: import("../wire/i18n.js").Key, values?: import("../wire/i18n.js").Values, icon: string, act: () => void, isBad?: boolean }} Entry */

/** Between the button and its menu, and around the menu, in pixels. */
const GAP = 8;
/** Where each key leads, from the entry that has the focus. @type {Record<string, (at: number, count: number) => number>} */
const STEPS = {
  ArrowDown: (at, count) => (at + 1) % count,
  ArrowUp: (at, count) => (at + count - 1) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

/** @type {HTMLElement | undefined} */
let list;

/** @param {HTMLButtonElement} opener @param {() => Entry[]} entries  asked whenever it opens */
export function opensMenu(opener, entries) {
  const menu = (list ??= makeMenu());
  opener.setAttribute("aria-haspopup", "menu");
  opener.popoverTargetElement = menu;
  // This comes before the browser opens it.
  opener.addEventListener("click", () => {
    if (menu.matches(":popover-open")) return;
    menu.setAttribute("aria-label", opener.ariaLabel ?? "");
    menu.replaceChildren(...entries().map((entry) => item(menu, entry)));
    stand(menu, opener.getBoundingClientRect());
  });
}

function makeMenu() {
  const menu = make("div", "menu");
  menu.popover = "auto";
  menu.role = "menu";
  menu.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "open") menu.querySelector("button")?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const all = [...menu.querySelectorAll("button")];
    const to = STEPS[event.key]?.(all.findIndex((it) => it === document.activeElement), all.length);
    if (to === undefined) return;
    event.preventDefault();
    all[to]?.focus();
  });
  document.body.append(menu);
  return menu;
}

/** @param {HTMLElement} menu @param {Entry} entry */
function item(menu, { key, values, icon: name, act, isBad = false }) {
  const it = make("button", isBad ? "danger" : "", icon(name), say(make("span"), key, values));
  it.type = "button";
  it.role = "menuitem";
  it.tabIndex = -1;
  it.addEventListener("click", () => {
    menu.hidePopover();
    act();
  });
  return it;
}

/** Above a button in the lower half, below one in the upper; as far to the right as the button, or as it takes to be whole. @param {HTMLElement} menu @param {DOMRect} by */
function stand({ style }, { top, bottom, right }) {
  const isLow = top > innerHeight / 2;
  style.bottom = isLow ? `${innerHeight - top + GAP}px` : "auto";
  style.top = isLow ? "auto" : `${bottom + GAP}px`;
  style.maxHeight = `${(isLow ? top : innerHeight - bottom) - 2 * GAP}px`;
  const edge = Math.min(right, document.documentElement.clientWidth - GAP);
  style.translate = `max(${GAP}px, ${edge}px - 100%)`;
}
