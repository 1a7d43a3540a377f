// @ts-check
/** Names of people and rooms: all of one can be seen, as the server wants it. */

/** What shows nothing or turns the writing direction, but for what joins or changes the characters beside it. */
const HIDDEN = /(?![\u200C\u200D\p{Variation_Selector}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const ALL_HIDDEN = new RegExp(HIDDEN, "gu");

/** The visible part of a typed or pasted name. @param {string} text */
export function visibleName(text) {
  return text.normalize("NFC").replace(ALL_HIDDEN, "").trim();
}

/** @param {string} text */
export function isVisible(text) {
  return text.trim() !== "" && !HIDDEN.test(text);
}
