// @ts-check
/** The link to this room: to be copied, shared, or photographed. */

import { qr } from "../wire/qr.js";
import { button, find, html, icon, make, svg } from "./dom.js";
import { label, say, text } from "./language.js";
import { copy } from "./toasts.js";

/** The quiet zone that readers need. */
const MARGIN = 4;

/** @param {string} link */
export function startInvite(link) {
  html("alone-link").append(...linkParts(link));
  html("invite-link").append(...linkParts(link));
  const dialog = find("invite-dialog", HTMLDialogElement);
  button("invite").addEventListener("click", () => dialog.showModal());
  button("invite-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
}

/** @param {string} link */
function linkParts(link) {
  const buttons = make("div", "link-buttons", action("copy", "invite.copy", () => copy(link, "invite.copied")));
  if (navigator.share) {
    const share = () => navigator.share({ title: "Hairpin", text: text("invite.message"), url: link }).catch(() => {});
    buttons.append(action("share", "invite.share", share));
  }
  return [drawing(link), make("p", "address", link.replace(/^https?:\/\//, "")), buttons];
}

/** @param {string} name @param {import("../wire/i18n.js").Key} key @param {() => void} act */
function action(name, key, act) {
  const it = make("button", name === "copy" ? "primary" : "", icon(name, "small"), say(make("span"), key));
  it.type = "button";
  it.addEventListener("click", act);
  return it;
}

/** Dark on light in either theme: not every reader takes the reverse. @param {string} link */
function drawing(link) {
  const modules = qr(link);
  const size = modules.length + 2 * MARGIN;
  const dark = modules.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x + MARGIN} ${y + MARGIN}h1v1h-1z`] : [])));
  const path = svg("path", { d: dark.join(""), fill: "#14181c" });
  const drawn = svg("svg", { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "shape-rendering": "crispEdges" }, path);
  return label(drawn, "invite.qr");
}
