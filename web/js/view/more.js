// @ts-check
/** The menu "more": what is reached for less often, and what has no room on a phone. */

import { button } from "./dom.js";
import { label } from "./language.js";
import { opensMenu } from "./menu.js";

/** @typedef {import("./menu.js").Entry} Entry */

/** @type {(() => Entry | null)[]} */
const offers = [];

/** Adds an entry; it is asked for whenever the menu opens, and null where there is nothing to do. @param {() => Entry | null} entry */
export function offer(entry) {
  offers.push(entry);
}

/**
 * A button that this window is too narrow for is an entry.
 * @param {string} id @param {() => import("../wire/i18n.js").Key} key @param {() => string} icon
 */
export function offerInstead(id, key, icon) {
  offer(() => (button(id).hidden || button(id).offsetParent ? null : { key: key(), icon: icon(), act: () => button(id).click() }));
}

export function startMore() {
  opensMenu(label(button("more"), "controls.more"), () => offers.map((entry) => entry()).filter((it) => it !== null));
}
