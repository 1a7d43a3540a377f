// @ts-check
/** Sums up in one word how good a connection is. */

/** @typedef {"connecting" | "good" | "fair" | "poor" | "lost"} Quality */

/** From here on people notice, and from there on they suffer. */
const FAIR = { loss: 0.03, rtt: 300, jitter: 40 };
const POOR = { loss: 0.1, rtt: 800, jitter: 100 };
/** One bad second does not matter: the mean of this many seconds counts. */
const WINDOW = 5;

/**
 * @param {RTCPeerConnectionState} state
 * @param {import("./stats.js").Reading[]} readings
 * @returns {Quality}
 */
export function quality(state, readings) {
  if (state === "new" || state === "connecting") return "connecting";
  if (state !== "connected") return "lost";
  const recent = readings.slice(-WINDOW);
  const mean = {
    loss: average(recent.map(({ loss }) => loss)),
    rtt: average(recent.map(({ rtt }) => rtt)),
    jitter: average(recent.map(({ jitter }) => jitter)),
  };
  const exceeds = (/** @type {typeof FAIR} */ limit) =>
    mean.loss > limit.loss || mean.rtt > limit.rtt || mean.jitter > limit.jitter;
  if (exceeds(POOR)) return "poor";
  return exceeds(FAIR) ? "fair" : "good";
}

/** @param {(number | null)[]} values */
function average(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : 0;
}
