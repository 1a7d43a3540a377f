// @ts-check
/** Shows events for a short time; screen readers read them aloud. */

import { html, make } from "./dom.js";
import { list, say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {import("../wire/i18n.js").Values} Values */

const SHOWN = 4_000;
/** What can be answered stays for longer. */
const SHOWN_WITH_ACTION = 8_000;
const AT_ONCE = 3;
/** A button says for so long that it has done it. */
const DONE = 2_000;

/** What happens to several people at once is said in one sentence. @type {Partial<Record<Key, Key>>} */
const SEVERAL = { "toast.came": "toast.came.several", "toast.left": "toast.left.several", "hand.raised": "hand.raised.several" };
/** Whose names such a sentence has. @type {WeakMap<Element, string[]>} */
const named = new WeakMap();

/** @type {HTMLElement | undefined} */
let found;
/** Of all notices, wherever it is. */
const place = () => (found ??= html("toasts"));

/** `stays`: until it is answered or dismissed. @typedef {{ key: Key, act: () => void, stays?: boolean }} Action */

/**
 * @param {Key} key
 * @param {Values} [values]
 * @param {...Action} actions
 */
export function toast(key, values = {}, ...actions) {
  const [action] = actions;
  const shown = reach();
  // Of its kind, only the newest is of interest.
  if (action) dismiss(action.key);
  const note = make("div", "toast", gather(shown, key, String(values.name)) ?? say(make("span"), key, values));
  for (const { key, act } of actions) {
    const button = say(make("button"), key);
    button.type = "button";
    button.addEventListener("click", () => {
      note.remove();
      act();
    });
    note.append(button);
  }
  if (action) note.dataset.leadsTo = action.key;
  shown.append(note);
  if (action?.stays) note.dataset.stays = "";
  else setTimeout(() => note.remove(), action ? SHOWN_WITH_ACTION : SHOWN);
  const passing = [...shown.children].filter((it) => !("stays" in /** @type {HTMLElement} */ (it).dataset));
  for (const old of passing.slice(0, -AT_ONCE)) old.remove();
}

/** Takes all away: what they say is about a call that is over. */
export function clearToasts() {
  place().replaceChildren();
}

/** Takes away what leads to where one already is. @param {Key} key */
export function dismiss(key) {
  for (const note of place().querySelectorAll(`[data-leads-to="${key}"]`)) note.remove();
}

/** @param {string} copied @param {Key} done @param {HTMLElement} [words]  of the button that was pressed: they say it for a moment */
export async function copy(copied, done, words) {
  try {
    await navigator.clipboard.writeText(copied);
  } catch {
    toast("toast.copyFailed");
    return false;
  }
  if (words) answer(words, done);
  else toast(done);
  return true;
}

/** The place, in a dialog that is open, because nothing outside it is seen well, can be pressed, or is read aloud. */
function reach() {
  const dialog = document.querySelector("dialog[open]");
  if (dialog && place().parentElement !== dialog) {
    dialog.append(place());
    dialog.addEventListener("close", () => document.body.append(place()), { once: true });
  }
  // A dialog that was taken away took it along.
  if (!place().isConnected) document.body.append(place());
  return place();
}

/** One sentence for what already stands there about others and for this, if both are the same. @param {HTMLElement} shown @param {Key} key @param {string} name */
function gather(shown, key, name) {
  const several = SEVERAL[key];
  if (!several) return null;
  const last = [...shown.querySelectorAll("span")].find((it) => it.dataset.t === key || it.dataset.t === several);
  const names = [...((last && named.get(last)) ?? []), name];
  last?.parentElement?.remove();
  const words = make("span");
  named.set(words, names);
  return names.length > 1 ? say(words, several, { names: list(names) }) : say(words, key, { name });
}

/** @param {HTMLElement} words @param {Key} done */
function answer(words, done) {
  const before = /** @type {Key | undefined} */ (words.dataset.t);
  if (!before || before === done) return;
  say(words, done);
  const aloud = say(make("span", "out-of-sight"), done);
  reach().append(aloud);
  setTimeout(() => {
    say(words, before);
    aloud.remove();
  }, DONE);
}
