// @ts-check
/** Lets people choose a camera, a microphone and a speaker. */

import { icon, make } from "./dom.js";
import { label, onLanguage, say, text } from "./language.js";
import { remember } from "./memory.js";
import { Sound } from "./sound.js";
import { option } from "./switches.js";

/** @typedef {import("../wire/media.js").Media} Media */
/** @typedef {"camera" | "microphone" | "speaker"} Role */

/** @type {Record<Role, MediaDeviceKind>} */
const KINDS = { camera: "videoinput", microphone: "audioinput", speaker: "audiooutput" };

/** @type {Record<Role, string>} */
const ICONS = { camera: "camera", microphone: "mic", speaker: "sound" };

/**
 * @param {HTMLElement} place
 * @param {Media} media
 * @param {Sound} sound
 */
export function showDevices(place, media, sound) {
  const roles = /** @type {Role[]} */ (["camera", "microphone", ...(Sound.canChoose ? ["speaker"] : [])]);
  const selects = roles.map((role) => {
    const select = label(make("select"), `device.${role}`);
    const shown = make("label", "", icon(ICONS[role], "small"), say(make("span", "out-of-sight"), `device.${role}`), select);
    place.append(shown);
    select.addEventListener("change", () => choose(role, select.value, media, sound));
    return { role, select };
  });
  const music = option("device.music", media.isMusic, (isOn) => {
    remember("music", isOn ? "yes" : "");
    media.setMusic(isOn);
  });
  const blur = option("device.blur", media.isBlurred, (isOn) => {
    remember("blur", isOn ? "yes" : "");
    media.setBlur(isOn);
  });
  place.append(music, blur);
  const fill = () => {
    selects.forEach(({ role, select }) => fillIn(select, role, media, sound));
    turn(music, media.isMusic);
    turn(blur, media.isBlurred);
    blur.hidden = !media.canBlur;
  };
  media.on("devices", fill);
  media.on("changed", fill);
  onLanguage(fill);
  fill();
}

/** @param {HTMLLabelElement} label @param {boolean} isOn */
function turn(label, isOn) {
  if (label.control instanceof HTMLInputElement) label.control.checked = isOn;
}

/** @param {Role} role @param {string} id @param {Media} media @param {Sound} sound */
function choose(role, id, media, sound) {
  if (role === "speaker") return sound.choose(id);
  remember(role, id);
  media.choose(role === "camera" ? "video" : "audio", id);
}

/** @param {HTMLSelectElement} select @param {Role} role @param {Media} media @param {Sound} sound */
function fillIn(select, role, media, sound) {
  // Before the person has allowed anything, browsers tell neither names nor numbers.
  const known = media.devices.filter(({ kind, deviceId }) => kind === KINDS[role] && deviceId !== "");
  const options = known.map(({ deviceId, label: name }, index) => {
    return new Option(name || text("device.unnamed", { kind: text(`device.${role}`), count: index + 1 }), deviceId);
  });
  select.disabled = options.length === 0;
  if (options.length === 0) options.push(new Option(text(whyNone(role, media)), ""));
  select.replaceChildren(...options);
  const current = role === "speaker" ? sound.speaker : currentDevice(media, role);
  if (known.some(({ deviceId }) => deviceId === current)) select.value = current;
}

/** @param {Role} role @param {Media} media */
function whyNone(role, media) {
  if (role === "speaker") return "device.default";
  const failure = media.failures[role === "camera" ? "video" : "audio"];
  if (failure === "denied") return "device.denied";
  return failure ? "device.none" : "device.default";
}

/** @param {Media} media @param {"camera" | "microphone"} role */
function currentDevice(media, role) {
  const used = role === "camera" ? media.camera : media.microphone;
  return used?.getSettings().deviceId ?? media.choice[role];
}
