// @ts-check
/** What is shown instead of the call: the reason, and what the user can do. */

import { HOME } from "../wire/place.js";
import { html, find, iconAt, make } from "./dom.js";
import { say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */

/** @type {Record<string, string>} */
const ICONS = {
  connecting: "hourglass",
  elsewhere: "warn",
  unnamed: "warn",
  altered: "warn",
  too_many: "hourglass",
  full: "people",
  draining: "hourglass",
  blocked: "warn",
  not_begun: "none",
  waiting: "hourglass",
  knock_denied: "close",
  room_full: "people",
  room_locked: "lock",
  server_full: "people",
  rate_limited: "hourglass",
  bad_key: "lock",
  kicked: "remove",
  ended: "leave",
  ended_here: "leave",
  replaced: "copy",
  left: "leave",
  unauthorized: "lock",
  token_expired: "hourglass",
  room_not_found: "none",
  room_name_invalid: "warn",
  bad_field: "warn",
  stopped: "warn",
  unsupported: "warn",
  inapp: "warn",
};

/** What may be otherwise in a moment. */
const TRY_AGAIN = new Set(["room_full", "room_locked", "server_full", "rate_limited", "knock_denied", "stopped", "room_not_found", "not_begun", "unnamed", "altered", "bad_field"]);
/** Where the link was not the right one, another can be pasted. */
const PASTE = new Set(["bad_key", "room_not_found", "not_begun", "token_expired", "room_name_invalid"]);
const REJOIN = new Set(["left", "replaced", "ended", "ended_here"]);

/**
 * @param {string} reason  of the protocol, or our own
 * @param {import("../wire/i18n.js").Values} [values]
 * @param {string} [place]  where it would be otherwise
 */
export function showNotice(reason, values = {}, place = "") {
  const known = reason in ICONS ? reason : "stopped";
  for (const id of ["lobby", "call"]) html(id).hidden = true;
  html("bar").hidden = html("notice").hidden = false;
  find("notice-icon", SVGUseElement).setAttribute("href", iconAt(ICONS[known]));
  say(html("notice-title"), /** @type {Key} */ (`notice.${known}.title`));
  say(html("notice-text"), /** @type {Key} */ (`notice.${known}.text`), values);
  html("notice-actions").replaceChildren(...actions(known, place));
  if (PASTE.has(known)) import("./paste.js").then(({ pasteField }) => html("notice-actions").prepend(pasteField()), () => {});
  html("notice-title").focus();
}

export function hideNotice() {
  html("notice").hidden = true;
}

/** @param {string} reason @param {string} place */
function actions(reason, place) {
  if (place) {
    const there = say(make("a", "button primary"), "notice.there");
    there.href = place;
    return [there];
  }
  const start = say(make("a", "button"), "notice.start");
  start.href = HOME;
  if (!TRY_AGAIN.has(reason) && !REJOIN.has(reason)) return [start];
  const again = say(make("button", "primary"), REJOIN.has(reason) ? "notice.rejoin" : "notice.again");
  again.type = "button";
  // From the start, so that nothing of the old call is left over.
  again.addEventListener("click", () => location.reload());
  return [again, start];
}
