// @ts-check
/** A small window on top of all others: whoever is foremost in the call, mute and leave. */

import { FILES } from "../wire/place.js";
import { button, icon, make } from "./dom.js";
import { currentLanguage, label } from "./language.js";
import { showSwitch } from "./switches.js";

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {Window & { documentPictureInPicture?: { window: Window | null, requestWindow: (size: object) => Promise<Window> } }} WithPicture */

const SIZE = { width: 380, height: 260 };
const EVERY = 400;

/** Opens it, or closes it if it is open. @param {Stage} stage */
export async function switchPicture(stage) {
  const { documentPictureInPicture: own } = /** @type {WithPicture} */ (window);
  if (own?.window) return own.window.close();
  if (!stage.foremost) return;
  if (own) return show(await own.requestWindow(SIZE), stage);
  if (document.pictureInPictureElement) return void document.exitPictureInPicture();
  return void stage.foremost.video.requestPictureInPicture();
}

/** @param {Window} small @param {Stage} stage */
function show(small, stage) {
  const { document: page } = small;
  page.documentElement.lang = currentLanguage();
  Object.assign(page.documentElement.dataset, document.documentElement.dataset);
  page.title = document.title;
  for (const name of ["tokens", "base", "controls", "pip"]) page.head.append(sheet(name));
  const sprite = document.querySelector("body > svg[hidden]");
  const video = make("video");
  Object.assign(video, { muted: true, autoplay: true, playsInline: true });
  const who = make("p", "who");
  const mic = make("button", "round");
  mic.addEventListener("click", () => button("mic").click());
  const leave = label(make("button", "round leave", icon("leave")), "controls.leave");
  leave.addEventListener("click", () => button("leave").click());
  page.body.className = "pip";
  page.body.append(...(sprite ? [sprite.cloneNode(true)] : []), video, who, make("div", "pip-controls", mic, leave));
  const draw = () => {
    const tile = stage.foremost;
    if (!tile) return small.close();
    if (video.srcObject !== tile.video.srcObject) video.srcObject = tile.video.srcObject;
    for (const name of ["without-picture", "screen"]) page.body.classList.toggle(name, tile.element.classList.contains(name));
    who.textContent = tile.element.ariaLabel;
    showSwitch(mic, "mic", button("mic").dataset.on === "true");
  };
  draw();
  const drawing = setInterval(draw, EVERY);
  small.addEventListener("pagehide", () => clearInterval(drawing));
}

/** @param {string} name */
function sheet(name) {
  const link = make("link");
  link.rel = "stylesheet";
  link.href = `${FILES}css/${name}.css`;
  return link;
}
