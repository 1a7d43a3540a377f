// @ts-check
/** Asks something in a dialog, and waits for the answer. */

import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {import("../wire/i18n.js").Values} Values */

/**
 * @template {string} Answer
 * @param {object} question
 * @param {Key} question.title
 * @param {Key} [question.text]
 * @param {Values} [question.values]  of both
 * @param {{ answer: Answer, key: Key, className?: string }[]} question.choices
 * @returns {Promise<Answer | "">}  nothing if the user has thought better of it
 */
export function ask({ title, text, values = {}, choices }) {
  const heading = say(make("h2"), title, values);
  heading.id = "ask-title";
  const cancel = choice("", "ask.cancel");
  cancel.autofocus = true;
  const form = make("form", "", ...choices.map(({ answer, key, className }) => choice(answer, key, className)), cancel);
  form.method = "dialog";
  const dialog = make("dialog", "ask", heading, ...(text ? [say(make("p", "soft small"), text, values)] : []), form);
  openDialog(dialog, heading);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(/** @type {Answer | ""} */ (dialog.returnValue)));
  });
}

/** @param {string} answer @param {Key} key @param {string} [className] */
function choice(answer, key, className) {
  const button = say(make("button", className), key);
  button.value = answer;
  return button;
}
