// @ts-check
/** The start page: makes a room, or goes to one. */

import { startBar } from "./view/bar.js";
import { find, html, input } from "./view/dom.js";
import { say } from "./view/language.js";
import { newRoom, pathOf, roomFrom } from "./wire/link.js";

startBar();

const room = input("room");

find("new", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  location.assign(pathOf(newRoom(crypto)));
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
