// @ts-check
/** What this browser remembers: a name, devices, a language, a theme, to use the relay only; nothing if it does not want to. */

/** @typedef {"name" | "camera" | "microphone" | "speaker" | "language" | "theme" | "relay-only"} Item */

/** @param {Item} item */
export function recall(item) {
  try {
    return localStorage.getItem(item) ?? "";
  } catch {
    return "";
  }
}

/** @param {Item} item @param {string} value */
export function remember(item, value) {
  try {
    if (value) localStorage.setItem(item, value);
    else localStorage.removeItem(item);
  } catch {
    // Then it is asked again next time.
  }
}

/** Proof that this tab created the room, so that it is the host again after a reload. @param {string} room */
export function recallHost(room) {
  try {
    return sessionStorage.getItem(`host:${room}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} room @param {string} token */
export function rememberHost(room, token) {
  try {
    sessionStorage.setItem(`host:${room}`, token);
  } catch {
    // Without storage, a reload makes another member the host.
  }
}
