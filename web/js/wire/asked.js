// @ts-check
/** What a link asks of the call page beside the room: a name, and devices that are off. Language and theme: js/early.js. */

import { visibleName } from "./name.js";

/** Characters of a name, as the field for it takes them. */
const NAME_MAX = 64;

/** @param {string} search  the query of the address */
export function askedOf(search) {
  const asked = new URLSearchParams(search);
  const name = visibleName(asked.get("name") ?? "");
  return {
    name: [...name].slice(0, NAME_MAX).join("").trim(),
    off: { audio: asked.get("mic") === "off", video: asked.get("cam") === "off" },
  };
}
