// @ts-check
/** In the browser of an app that has no camera: the address of the page to copy, and a link out where there is one. */

import { wayOut } from "../wire/inapp.js";
import { make } from "./dom.js";
import { label, say } from "./language.js";
import { copy, toast } from "./toasts.js";

/** @param {HTMLElement} place */
export function showElsewhere(place) {
  const { href } = location;
  const address = label(make("input"), "inapp.address");
  Object.assign(address, { type: "text", value: href, readOnly: true });
  address.addEventListener("focus", () => address.select());
  const button = say(make("button", "primary"), "invite.copy");
  button.type = "button";
  button.addEventListener("click", () => {
    if (navigator.clipboard) return void copy(href, "invite.copied");
    // What some apps have instead.
    address.select();
    toast(document.execCommand("copy") ? "invite.copied" : "toast.copyFailed");
  });
  const actions = make("div", "actions", button);
  const out = wayOut(navigator.userAgent, href);
  if (out) {
    const link = say(make("a", "button"), "inapp.open");
    link.href = out;
    actions.append(link);
  }
  place.replaceChildren(address, actions);
}
