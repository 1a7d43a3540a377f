// @ts-check
/** The buttons for microphone, camera and screen: what they show, and what they say they do. */

import { make, setIcon } from "./dom.js";
import { label, say } from "./language.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {"mic" | "camera" | "screen"} What */

/** @type {Record<What, { on: Key, off: Key }>} */
const DOES = {
  mic: { on: "controls.mic.off", off: "controls.mic.on" },
  camera: { on: "controls.cam.off", off: "controls.cam.on" },
  screen: { on: "controls.share.off", off: "controls.share.on" },
};

/** The same in a word, where there is room for one. A part of it, because whoever speaks to the machine says what they read. @type {typeof DOES} */
const WORD = {
  mic: { on: "controls.word.mic.off", off: "controls.word.mic.on" },
  camera: { on: "controls.word.cam", off: "controls.word.cam" },
  screen: { on: "controls.word.share.off", off: "controls.word.share.on" },
};

/** @param {HTMLButtonElement} button @param {What} what @param {boolean} isOn */
export function showSwitch(button, what, isOn) {
  const isDevice = what !== "screen";
  button.classList.add(isDevice ? "device" : "action");
  // Not "pressed": the label says what the button will do, and a screen reader would read it as the current state.
  button.dataset.on = String(isOn);
  setIcon(button, isOn === isDevice ? what : `${what}-off`);
  label(button, DOES[what][isOn ? "on" : "off"]);
  /** @type {HTMLElement | null} */
  const word = button.querySelector(".word");
  if (word) say(word, WORD[what][isOn ? "on" : "off"]);
}

/** A switch with its words. @param {Key} key @param {boolean} isOn @param {(isOn: boolean) => void} change */
export function option(key, isOn, change) {
  const box = make("input");
  box.type = "checkbox";
  box.role = "switch";
  box.checked = isOn;
  box.addEventListener("change", () => change(box.checked));
  return make("label", "switch", say(make("span"), key), box);
}
