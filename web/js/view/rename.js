// @ts-check
/** Asks for another name, in a dialog; loaded when somebody wants one. */

import { visibleName } from "../wire/name.js";
import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { label, say } from "./language.js";

/** @param {string} name @returns {Promise<string>} the new one, or nothing if it stays */
export function askName(name) {
  const title = say(make("h2"), "people.rename");
  title.id = "rename-title";
  const field = label(make("input"), "lobby.name");
  Object.assign(field, { type: "text", value: name, maxLength: 64, dir: "auto", autocomplete: "nickname" });
  const save = say(make("button", "primary"), "people.rename.save");
  const cancel = say(make("button"), "ask.cancel");
  cancel.type = "button";
  const form = make("form", "", field, save, cancel);
  form.method = "dialog";
  const dialog = make("dialog", "ask", title, form);
  openDialog(dialog, title);
  field.select();
  return new Promise((resolve) => {
    let chosen = "";
    form.addEventListener("submit", () => (chosen = visibleName(field.value)));
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(chosen === name ? "" : chosen));
  });
}
