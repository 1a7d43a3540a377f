// @ts-check
/** The start page: makes a room, or goes to one. */

import { startBar } from "./view/bar.js";
import { button, find, html, input } from "./view/dom.js";
import { say } from "./view/language.js";
import { recall } from "./view/memory.js";
import { sleep, systemClock } from "./wire/clock.js";
import { askDoor, isLasting, rightPlace, understand } from "./wire/door.js";
import { newRoom, pathOf, roomFrom } from "./wire/link.js";
import { isCurrent } from "./wire/pass.js";

/** If the server has not answered after this time, the page shows what most servers allow. */
const PATIENCE = 300;

await startBar();

const room = input("room");
const start = find("new", HTMLAnchorElement);
/** Whether a call may only be started with a password. */
let needsPassword = false;
const welcomed = welcome();
Promise.race([welcomed, sleep(systemClock, PATIENCE)]).then(() => html("welcome").classList.remove("is-asking"));

start.addEventListener("click", async (event) => {
  event.preventDefault();
  await welcomed;
  const isHere = start.origin === location.origin;
  if (needsPassword && !isCurrent(recall("room-token"), Date.now()) && !(await askForIt())) return;
  if (!start.hidden) location.assign(isHere ? pathOf(newRoom(crypto)) : start.href);
});

find("join", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const link = roomFrom(room.value, location.origin);
  if (link) return location.assign(pathOf(link));
  room.setAttribute("aria-invalid", "true");
  say(html("room-wrong"), "start.join.wrong");
  room.focus();
});

room.addEventListener("input", () => {
  room.removeAttribute("aria-invalid");
  html("room-wrong").textContent = "";
});

async function askForIt() {
  return (await import("./view/password.js")).askPassword();
}

/** Offers what the visitor can do here: some servers start no calls, or not at this address. */
async function welcome() {
  const answer = await askDoor(fetch, systemClock);
  const why = understand(answer, location.origin);
  if (isLasting(why)) {
    const { reason, origin, expected } = why;
    say(html("lead"), /** @type {import("./wire/i18n.js").Key} */ (`notice.${reason}.text`), { origin, expected });
    html("join").hidden = true;
    start.hidden = reason !== "elsewhere";
    start.href = rightPlace(why, location);
    start.querySelector("svg")?.remove();
    say(html("new-text"), "notice.there");
  } else if (answer?.create === "password") {
    needsPassword = true;
    say(html("lead"), "start.lead.password");
  } else if (answer?.create === "token") {
    say(html("lead"), "start.lead.invited");
    say(html("join-label"), "start.join.label.invited");
    start.hidden = true;
    html("join").classList.add("only");
    button("go").classList.add("primary");
  }
}
