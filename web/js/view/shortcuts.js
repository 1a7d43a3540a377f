// @ts-check
/** The list of single keys; loaded when somebody asks for it. */

import { isKey } from "../wire/i18n.js";
import { openDialog } from "./dialog.js";
import { icon, make } from "./dom.js";
import { keySwitch } from "./keys.js";
import { label, say } from "./language.js";

/** @param {string[]} letters  of the keys that do something */
export function openKeys(letters) {
  const title = say(make("h2"), "keys.title");
  title.id = "keys-title";
  const close = label(make("button", "plain only-icon", icon("close")), "panel.close");
  close.type = "button";
  const dialog = make("dialog", "invite keys", make("header", "", title, close), list(letters), keySwitch());
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  openDialog(dialog, title);
}

/** @param {string[]} letters */
function list(letters) {
  const rows = [...letters, "Space", "?"].flatMap((name) => {
    const key = `keys.${name === "?" ? "list" : name}`;
    if (!isKey(key)) return [];
    const shown = name === "Space" ? say(make("kbd"), "keys.space") : make("kbd", "", name);
    return [make("div", "", make("dt", "", shown), say(make("dd"), key))];
  });
  return make("dl", "", ...rows);
}
