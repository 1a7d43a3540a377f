// @ts-check
/** Shows the page in the user's language, and changes it when the user selects another. */

import { chooseLanguage, isKey, loadLanguage, translate } from "../wire/i18n.js";
import { recall, remember } from "./memory.js";

/** @typedef {import("../wire/i18n.js").Key} Key */
/** @typedef {import("../wire/i18n.js").Values} Values */
/** @typedef {import("../wire/i18n.js").Language} Language */

/** @type {Language} */
let language = "en";
/** @type {(() => void)[]} */
const listeners = [];

/** The text of each element, to translate it again when the language changes. @type {WeakMap<Element, Values>} */
const values = new WeakMap();

/** The language in the address, in storage, or of the browser. early.js hides the page until then if it is another than that of the HTML. */
export async function startLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  await speak(chooseLanguage({ asked, stored: recall("language"), preferred: navigator.languages }));
  delete document.documentElement.dataset.waits;
}

export function currentLanguage() {
  return language;
}

/** @param {Language} chosen */
export async function setLanguage(chosen) {
  remember("language", chosen);
  await speak(chosen);
  for (const listener of listeners) listener();
}

/** Redraws, when the language changes, what is not the text of an element. @param {() => void} listener */
export function onLanguage(listener) {
  listeners.push(listener);
}

/** @param {Key} key @param {Values} [some] */
export function text(key, some) {
  return translate(language, key, some);
}

/**
 * Lets an element say something, in every language that is chosen later, too.
 * @template {HTMLElement} T
 * @param {T} element
 * @param {Key} key
 * @param {Values} [some]
 * @returns {T}
 */
export function say(element, key, some = {}) {
  element.dataset.t = key;
  element.removeAttribute("dir");
  values.set(element, some);
  return voice(element);
}

/**
 * Lets an element show a text that is the same in every language: a name, in the direction in which it is written, or
 * nothing.
 * @template {HTMLElement} T
 * @param {T} element
 * @param {string} [plain]
 * @returns {T}
 */
export function silence(element, plain = "") {
  delete element.dataset.t;
  element.dir = "auto";
  element.textContent = plain;
  return element;
}

/**
 * The name of an element that shows no text, for those who do not see it and those who wonder.
 * @template {HTMLElement | SVGElement} T
 * @param {T} element
 * @param {Key} key
 * @param {Values} [some]
 * @returns {T}
 */
export function label(element, key, some = {}) {
  element.dataset.tLabel = key;
  values.set(element, some);
  return voice(element);
}

let areKeysNamed = true;

/** Whether labels end with their key: "Mute (M)". @param {boolean} are */
export function nameKeys(are) {
  areKeysNamed = are;
  /** @type {NodeListOf<HTMLElement | SVGElement>} */
  const labelled = document.querySelectorAll("[data-t-label]");
  labelled.forEach(voice);
}

/**
 * What a field that is empty says is to be written there.
 * @template {HTMLInputElement} T
 * @param {T} field
 * @param {Key} key
 * @returns {T}
 */
export function placeholder(field, key) {
  field.dataset.tPlaceholder = key;
  return voice(field);
}

/** To make one takes far longer than to use it. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** Gives a count, a date or a size as people here write it. @param {number} number @param {Intl.NumberFormatOptions} [options] */
export function number(number, options) {
  const wish = `${language} ${JSON.stringify(options)}`;
  const format = formats.get(wish) ?? new Intl.NumberFormat(language, options);
  formats.set(wish, format);
  return format.format(number);
}

/** Names, one after the other. @param {string[]} names */
export function list(names) {
  return new Intl.ListFormat(language, { type: language === "ko" ? "unit" : "conjunction" }).format(names);
}

/** If the server is away, a language that was not needed before cannot be had. @param {Language} chosen */
async function speak(chosen) {
  if (!(await loadLanguage(chosen))) return;
  language = chosen;
  document.documentElement.lang = chosen;
  /** @type {NodeListOf<HTMLElement | SVGElement>} */
  const speaking = document.querySelectorAll("[data-t], [data-t-label], [data-t-placeholder]");
  speaking.forEach(voice);
}

/** @template {HTMLElement | SVGElement} T @param {T} element @returns {T} */
function voice(element) {
  const { t, tLabel, tPlaceholder } = element.dataset;
  const some = values.get(element) ?? {};
  if (t && isKey(t)) element.textContent = text(t, some);
  if (tLabel && isKey(tLabel)) {
    const named = text(tLabel, some);
    const shown = areKeysNamed ? named : named.replace(/ \([A-Z]\)$/, "");
    element.setAttribute("aria-label", shown);
    if (element instanceof HTMLButtonElement) element.title = shown;
  }
  if (tPlaceholder && isKey(tPlaceholder)) element.setAttribute("placeholder", text(tPlaceholder, some));
  return element;
}
