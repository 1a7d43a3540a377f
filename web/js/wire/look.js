// @ts-check
/** How another member is shown: by the member's state, or by the media that arrive if the member never sent a state. */

/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./stats.js").Reading} Reading */

/** A member whose video did not arrive in this many readings, one a second, sends none. */
const WINDOW = 3;

/**
 * @param {State} state
 * @param {Reading[]} readings  of the connection with them
 * @returns {State}
 */
export function lookOf(state, readings) {
  return state.unsaid ? { ...state, mic: true, cam: isPictured(readings) } : state;
}

/** Whether pictures have come lately. @param {Reading[]} readings */
function isPictured(readings) {
  const recent = readings.slice(-1 - WINDOW).map(({ frames }) => frames);
  if (recent.length === 1) recent.unshift(0);
  return recent.some((frames, i) => i > 0 && frames > 0 && frames !== recent[i - 1]);
}
