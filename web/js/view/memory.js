// @ts-check
/** What this browser remembers: a name, devices, a language, a theme, a layout, to use the relay only; nothing if it does not want to. */

/** @typedef {"name" | "camera" | "microphone" | "speaker" | "language" | "theme" | "relay-only" | "save-data" | "keys" | "music" | "blur" | "layout" | "corner" | "self" | "silent-screen" | "room-token"} Item */

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

/** @typedef {import("../wire/rejoin.js").LastCall} LastCall */
/** @typedef {import("../wire/media.js").Off} Off */

/** What is switched off in this tab, so that a reload does not switch it on. @returns {Off | undefined} */
export function recallOff() {
  return recallTab("off");
}

/** @param {Off} off */
export function rememberOff(off) {
  rememberTab("off", off);
}

/** The call that this tab left when its page went away; once. @returns {LastCall | undefined} */
export function takeLastCall() {
  const last = recallTab("call");
  rememberTab("call", undefined);
  return last;
}

/** @param {LastCall | undefined} call */
export function rememberLastCall(call) {
  rememberTab("call", call);
}

/** @param {string} item */
function recallTab(item) {
  try {
    return JSON.parse(sessionStorage.getItem(item) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} item @param {unknown} value */
function rememberTab(item, value) {
  try {
    sessionStorage.setItem(item, JSON.stringify(value ?? null));
  } catch {
    // A reload then begins in the lobby.
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
