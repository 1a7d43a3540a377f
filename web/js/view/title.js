// @ts-check
/** What is noticed of a tab in the background: its title, with how much waits for an answer in front, and a sound. */

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

/** Where the sound cannot be loaded, there is none. @param {"join" | "knock" | "message"} kind */
export function ring(kind) {
  import("./chime.js").then(({ chime }) => chime(kind), () => {});
}

function draw() {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const title = all > 0 ? `(${all}) ${name}` : name;
  if (document.title !== title) document.title = title;
}
