// @ts-check
/** Single keys that do what a button does, unless the user is typing or has switched them off; and the space bar to talk. */

import { make } from "./dom.js";
import { nameKeys, say } from "./language.js";
import { recall, remember } from "./memory.js";
import { option } from "./switches.js";

/** @typedef {{ begin: () => boolean, end: () => void }} Talk  `begin` says whether there is anything to end */

/** @type {string[]} */
let letters = [];

/** @param {Record<string, () => void>} actions  by the key's letter @param {Talk} talk */
export function onKeys(actions, talk) {
  letters = Object.keys(actions);
  advertise(areOn());
  document.addEventListener("keydown", (event) => {
    if (!areOn() || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isWriting(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") return void showKeys();
    // By the place of the key, so that it works with a Korean keyboard layout, too.
    const letter = /^Key([A-Z])$/.exec(event.code)?.[1] ?? "";
    const act = actions[letter];
    if (!act) return;
    event.preventDefault();
    act();
  });
  talkBySpace(talk);
}

/** Opens the list, where they can be switched off. */
export function keyButton() {
  const list = say(make("button"), "keys.title");
  list.type = "button";
  list.addEventListener("click", showKeys);
  return make("div", "", list);
}

export function keySwitch() {
  return option("keys.on", areOn(), (isOn) => {
    remember("keys", isOn ? "" : "off");
    advertise(isOn);
  });
}

function areOn() {
  return recall("keys") !== "off";
}

async function showKeys() {
  const { openKeys } = await import("./shortcuts.js");
  openKeys(letters);
}

/** Labels and screen readers name a key only while it works. @param {boolean} areOn */
function advertise(areOn) {
  nameKeys(areOn);
  for (const it of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[aria-keyshortcuts], [data-keys]"))) {
    it.dataset.keys ??= it.getAttribute("aria-keyshortcuts") ?? "";
    if (areOn) it.setAttribute("aria-keyshortcuts", it.dataset.keys);
    else it.removeAttribute("aria-keyshortcuts");
  }
}

/** Who is muted is heard while the space bar is held. @param {Talk} talk */
function talkBySpace({ begin, end }) {
  let isTalking = false;
  const stop = () => {
    if (isTalking) end();
    isTalking = false;
  };
  document.addEventListener("keydown", (event) => {
    if (event.code !== "Space" || event.ctrlKey || event.metaKey || event.altKey || !isFree(event.target) || !areOn()) return;
    event.preventDefault();
    if (!event.repeat) isTalking ||= begin();
  });
  document.addEventListener("keyup", ({ code }) => code === "Space" && stop());
  // The key may be let go of elsewhere.
  addEventListener("blur", stop);
}

/** Nothing here has a use of its own for the space bar. @param {EventTarget | null} target */
function isFree(target) {
  return target instanceof HTMLElement && target.tabIndex < 0 && !isWriting(target) && !document.querySelector("dialog[open]");
}

/** @param {EventTarget | null} target */
function isWriting(target) {
  return target instanceof HTMLElement && target.matches("input[type=text], textarea, select, [contenteditable]");
}
