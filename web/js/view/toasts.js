// @ts-check
/** Shows events for a short time; screen readers read them aloud. */

import { html, make } from "./dom.js";
import { say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {import("../wire/i18n.js").Values} Values */

const SHOWN = 4_000;
/** What can be answered stays for longer. */
const SHOWN_WITH_ACTION = 8_000;
const AT_ONCE = 3;

/**
 * @param {Key} key
 * @param {Values} [values]
 * @param {{ key: Key, act: () => void }} [action]
 */
export function toast(key, values = {}, action) {
  const place = html("toasts");
  // Of its kind, only the newest is of interest.
  if (action) dismiss(action.key);
  const note = make("div", "toast", say(make("span"), key, values));
  if (action) {
    const button = say(make("button"), action.key);
    button.type = "button";
    button.addEventListener("click", () => {
      note.remove();
      action.act();
    });
    note.append(button);
    note.dataset.leadsTo = action.key;
  }
  place.append(note);
  while (place.children.length > AT_ONCE) place.firstElementChild?.remove();
  setTimeout(() => note.remove(), action ? SHOWN_WITH_ACTION : SHOWN);
}

/** Takes all away: what they say is about a call that is over. */
export function clearToasts() {
  html("toasts").replaceChildren();
}

/** Takes away what leads to where one already is. @param {Key} key */
export function dismiss(key) {
  for (const note of html("toasts").querySelectorAll(`[data-leads-to="${key}"]`)) note.remove();
}

/** @param {string} copied @param {Key} done */
export async function copy(copied, done) {
  try {
    await navigator.clipboard.writeText(copied);
    toast(done);
  } catch {
    toast("toast.copyFailed");
  }
}
