// @ts-check
/** The title of the page, and in front of it how much waits for an answer: it is all that is seen of a tab in the background. */

let name = document.title;
/** @type {Map<"knocks" | "messages", number>} */
const counts = new Map();

/** @param {string} title */
export function nameTitle(title) {
  name = title;
  draw();
}

/** @param {"knocks" | "messages"} what @param {number} count */
export function countInTitle(what, count) {
  counts.set(what, count);
  draw();
}

function draw() {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const title = all > 0 ? `(${all}) ${name}` : name;
  if (document.title !== title) document.title = title;
}
