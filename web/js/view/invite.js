// @ts-check
/** The link to this room: to be copied, shared, or photographed. */

import { isRandom, pathOf } from "../wire/link.js";
import { HOME } from "../wire/place.js";
import { button, find, html, icon, make, svg, whenIdle } from "./dom.js";
import { label, say, text } from "./language.js";
import { copy } from "./toasts.js";

/** The quiet zone that readers need. */
const MARGIN = 4;

/** @param {import("../wire/link.js").RoomLink} room */
export function startInvite(room) {
  const dialog = find("invite-dialog", HTMLDialogElement);
  button("invite").addEventListener("click", () => {
    showLink("invite-link", room);
    dialog.showModal();
  });
  button("invite-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
}

/** Not before it is seen: to draw the code is work. @param {string} id  of its place @param {import("../wire/link.js").RoomLink} room */
export function showLink(id, room) {
  if (!html(id).firstChild) html(id).append(...linkParts(room));
}

/** @param {import("../wire/link.js").RoomLink} room */
function linkParts(room) {
  const link = location.origin + pathOf(room);
  const address = make("p", "address", shortened(room));
  // Whoever marks and copies what is shown gets what is meant.
  address.addEventListener("copy", (event) => {
    event.clipboardData?.setData("text/plain", link);
    event.preventDefault();
  });
  const copying = action("copy", "invite.copy", async () => {
    if (await copy(link, "invite.copied", copying.querySelector("span") ?? undefined)) return;
    address.textContent = link;
    address.classList.add("whole");
    getSelection()?.selectAllChildren(address);
  });
  const buttons = make("div", "link-buttons", copying);
  if (navigator.share) {
    const share = () => navigator.share({ title: "Hairpin", text: text("invite.message"), url: link }).catch(() => {});
    buttons.append(action("share", "invite.share", share));
  }
  return [drawing(link), address, buttons];
}

/** Nobody reads out what cannot be guessed. @param {import("../wire/link.js").RoomLink} room */
function shortened({ name, key }) {
  const shown = isRandom(name) ? "…" : name;
  return `${location.host}${HOME}r/${shown}` + (key && !isRandom(name) ? "#…" : "");
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
  const drawn = svg("svg", { class: "qr", viewBox: "0 0 1 1", role: "img", "shape-rendering": "crispEdges" });
  // The others' pictures come first. Without the server there is no code, and still the link.
  whenIdle(() => draw(drawn, link).catch(() => drawn.remove()));
  return label(drawn, "invite.qr");
}

/** @param {SVGElement} drawn @param {string} link */
async function draw(drawn, link) {
  const { qr } = await import("../wire/qr.js");
  const modules = qr(link);
  const size = modules.length + 2 * MARGIN;
  const dark = modules.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x + MARGIN} ${y + MARGIN}h1v1h-1z`] : [])));
  drawn.setAttribute("viewBox", `0 0 ${size} ${size}`);
  drawn.append(svg("path", { d: dark.join(""), fill: "#14181c" }));
}
