// @ts-check
/** A field for the link of an invitation, where the link that was opened does not work; loaded only then. */

import { pathOf, roomFrom } from "../wire/link.js";
import { make } from "./dom.js";
import { placeholder, say } from "./language.js";

export function pasteField() {
  const field = placeholder(make("input"), "start.join.placeholder");
  Object.assign(field, { type: "text", id: "pasted", dir: "auto", autocomplete: "off" });
  const label = say(make("label"), "start.join.label.invited");
  label.htmlFor = field.id;
  const wrong = make("p", "small wrong");
  wrong.role = "status";
  const form = make("form", "paste", label, make("div", "", field, say(make("button", "primary"), "start.join.go")), wrong);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const link = roomFrom(field.value, location.origin);
    if (!link) return void say(wrong, "start.join.wrong");
    const isHere = new URL(pathOf(link), location.href).pathname === location.pathname;
    location.assign(pathOf(link));
    // Only what is behind the # may be another, which loads nothing.
    if (isHere) location.reload();
  });
  return form;
}
