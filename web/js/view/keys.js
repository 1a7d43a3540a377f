// @ts-check
/** Single keys that do what a button does, unless the user is typing. */

/** @param {Record<string, () => void>} actions  by the key's letter */
export function onKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isWriting(event.target)) return;
    // By the place of the key, so that it works with a Korean keyboard layout, too.
    const letter = /^Key([A-Z])$/.exec(event.code)?.[1] ?? "";
    const act = actions[letter];
    if (!act || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    act();
  });
}

/** @param {EventTarget | null} target */
function isWriting(target) {
  return target instanceof HTMLElement && target.matches("input[type=text], textarea, select, [contenteditable]");
}
