// @ts-check
/** Chooses a language, and puts numbers and names into its texts. */

import en from "../../i18n/en.js";

/** @typedef {"en" | "ko"} Language */
/** @typedef {keyof typeof en} Key */
/** @typedef {Record<string, string | number>} Values */
/** @typedef {string | { one?: string, other: string }} Message */

/** Those that are loaded. English always is, so that a text is never missing. @type {{ en: Record<Key, Message> } & Partial<Record<Language, Record<Key, Message>>>} */
const MESSAGES = { en };

/** In their own words. @type {Record<Language, string>} */
export const LANGUAGES = { en: "English", ko: "한국어" };

/** What is written from right to left, assigned or not yet (Unicode's DerivedBidiClass), and what turns the direction. */
const TURNING = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFF\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\p{Zl}\p{Zp}]/u;
/** What could end an isolate, or a line. */
const ENDING = /[\u202A-\u202E\u2066-\u2069\p{Zl}\p{Zp}]/gu;

/**
 * The address counts most, then what was chosen before, then what the browser prefers.
 * @param {{ asked?: string | null, stored?: string | null, preferred?: readonly string[] }} wishes
 * @returns {Language}
 */
export function chooseLanguage({ asked, stored, preferred = [] }) {
  for (const wish of [asked, stored, ...preferred]) {
    const language = wish?.toLowerCase().split("-")[0] ?? "";
    if (isLanguage(language)) return language;
  }
  return "en";
}

/** Brings the texts of a language, which only those load who read it. @param {Language} language @returns {Promise<boolean>} whether they are there */
export async function loadLanguage(language) {
  try {
    if (language === "ko") MESSAGES.ko ??= (await import("../../i18n/ko.js")).default;
    return true;
  } catch {
    return false;
  }
}

/**
 * A text, with `{name}` replaced by the value of that name; of several forms the one that fits `count`.
 * @param {Language} language
 * @param {Key} key
 * @param {Values} [values]
 * @returns {string}
 */
export function translate(language, key, values = {}) {
  const message = (MESSAGES[language] ?? en)[key];
  const text = typeof message === "string" ? message : form(language, message, Number(values.count));
  return text.replace(/\{(\w+)\}/g, (whole, name) => isolate(String(values[name] ?? whole)));
}

/**
 * What others wrote, so that it moves nothing of the sentence that it stands in, as in `<bdi>`.
 * @param {string} value
 */
function isolate(value) {
  return TURNING.test(value) ? `\u2068${value.replace(ENDING, "")}\u2069` : value;
}

/** @param {string} text @returns {text is Key} */
export function isKey(text) {
  return Object.hasOwn(en, text);
}

/** @param {string} text @returns {text is Language} */
function isLanguage(text) {
  return Object.hasOwn(LANGUAGES, text);
}

/** @param {Language} language @param {{ one?: string, other: string }} message @param {number} count */
function form(language, message, count) {
  const rule = new Intl.PluralRules(language).select(count);
  return (rule === "one" ? message.one : undefined) ?? message.other;
}
