// @ts-check
/** Notices that the network has changed, that the page is seen again, and that it goes away. */

import { rememberLastCall } from "./memory.js";

/**
 * @param {object} parts
 * @param {() => void} parts.changed
 * @param {() => void} parts.seen
 * @param {() => void} parts.leaving
 */
export function watchNetwork({ changed, seen, leaving }) {
  addEventListener("online", changed);
  onOtherNetwork(changed);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") seen();
  });
  addEventListener("pagehide", leaving);
  // A page that comes back out of the browser's cache has left the call, and its user may want to look first.
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    rememberLastCall(undefined);
    location.reload();
  });
}

/** From Wi-Fi to mobile, say. Browsers report changes of speed by the same event. @param {() => void} then */
function onOtherNetwork(then) {
  const { connection } = /** @type {any} */ (navigator);
  let type = connection?.type;
  connection?.addEventListener?.("change", () => {
    if (connection.type === type) return;
    type = connection.type;
    then();
  });
}
