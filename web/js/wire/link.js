// @ts-check
/** Rooms as links: `/r/<room>#k=<key>`. The key stays behind the `#`, which browsers tell no server. So does `t`, a token that opens the room. */

import { isVisible } from "./name.js";
import { HOME } from "./place.js";

/** @typedef {{ name: string, key: string, token?: string }} RoomLink */

/** As the server counts: characters, not UTF-16 units. */
const NAME_MAX = 64;

/**
 * A new room that nobody can guess: 128 random bits for its name, and 128 for its key.
 * @param {Crypto} crypto
 * @returns {RoomLink}
 */
export function newRoom(crypto) {
  return { name: randomText(crypto), key: randomText(crypto) };
}

/** @param {RoomLink} room @param {string} [home]  the path of the site @returns {string} path and fragment */
export function pathOf({ name, key, token }, home = HOME) {
  const behind = [key && `k=${encodeURIComponent(key)}`, token && `t=${encodeURIComponent(token)}`].filter(Boolean).join("&");
  return `${home}r/${encodeURIComponent(name)}${behind && `#${behind}`}`;
}

/**
 * @param {{ pathname: string, hash: string }} location
 * @param {string} [home]  the path of the site
 * @returns {RoomLink | null}
 */
export function roomAt({ pathname, hash }, home = HOME) {
  try {
    const name = roomName(decodeURIComponent(/^r\/([^/]+)\/?$/.exec(pathIn(pathname, home))?.[1] ?? ""));
    if (!name) return null;
    const behind = new URLSearchParams(hash.slice(1));
    const token = behind.get("t");
    return { name, key: behind.get("k") ?? "", ...(token && { token }) };
  } catch {
    return null;
  }
}

/** A path without that of the site. Who came past the proxy that adds the latter has none. @param {string} pathname @param {string} [home] */
export function pathIn(pathname, home = HOME) {
  return pathname.slice(pathname.startsWith(home) ? home.length : 1);
}

/**
 * Parses typed or pasted text: a link to a room on this server, or a room's name.
 * @param {string} text
 * @param {string} origin
 * @param {string} [home]  the path of the site
 * @returns {RoomLink | null}
 */
export function roomFrom(text, origin, home = HOME) {
  const trimmed = text.trim();
  if (/^https?:\/\//i.test(trimmed)) {
    try {
      const url = new URL(trimmed);
      return url.origin === origin ? roomAt(url, home) : null;
    } catch {
      return null;
    }
  }
  const name = roomName(trimmed);
  return name ? { name, key: "" } : null;
}

/** Where the rooms of a page's server are spoken with. @param {{ protocol: string, host: string }} location @param {string} [home] */
export function socketAt({ protocol, host }, home = HOME) {
  return `${protocol === "https:" ? "wss" : "ws"}://${host}${home}ws`;
}

/** Whether a name is one of {@link newRoom}, and therefore means nothing to people. @param {string} name */
export function isRandom(name) {
  return /^[\w-]{22}$/.test(name);
}

/** @param {string} text */
function roomName(text) {
  const name = text.normalize("NFC");
  const length = [...name].length;
  // "." and ".." are names, too, but browsers take them out of a path.
  return isVisible(name) && length <= NAME_MAX && !name.includes("/") && !/^\.\.?$/.test(name) ? name : "";
}

/** @param {Crypto} crypto */
function randomText(crypto) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
