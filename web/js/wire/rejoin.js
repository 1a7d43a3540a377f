// @ts-check
/** Whether a page that is loaded again belongs to the call that it was just in. */

/** @typedef {{ room: string, name: string, policy: RTCIceTransportPolicy, at: number }} LastCall  `at` is when the page went away */

/** A reload takes seconds. Whoever comes later begins in the lobby, where they see themselves first. */
const MOMENTS = 30_000;

/**
 * @param {LastCall | undefined} last
 * @param {{ room: string, now: number, isReload: boolean }} page  a link that is opened, or a tab that is duplicated, is no reload
 */
export function isInCall(last, { room, now, isReload }) {
  return last !== undefined && isReload && last.room === room && now >= last.at && now - last.at < MOMENTS;
}
