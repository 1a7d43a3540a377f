// @ts-check
/** What is shown of a name where there is no picture and no room for more. */

/** What people see as one letter: a family is one, too. */
const letters = "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

/** @param {string} word */
function firstLetter(word) {
  return letters ? (letters.segment(word)[Symbol.iterator]().next().value?.segment ?? "") : ([...word][0] ?? "");
}

/** Up to two letters, shown for a member without video. @param {string} name */
export function initials(name) {
  // Of what is invisible only the joiner is part of a letter.
  const words = name.replace(/(?!\u200D)\p{Cf}/gu, "").trim().split(/\s+/).filter(Boolean);
  const [first = "", last = ""] = [words[0], words.length > 1 ? words.at(-1) : ""];
  return (firstLetter(first) || "·").toUpperCase() + firstLetter(last).toUpperCase();
}
