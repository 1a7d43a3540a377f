// @ts-check
/** A soft sound, for what should be noticed in another tab, too. */

/** Two notes, in Hz, and how long each is alone. */
const NOTES = { join: [523, 660], knock: [660, 880], message: [880, 740] };
const STEP = 0.14;
const VOLUME = 0.06;

/** @param {keyof typeof NOTES} kind */
export function chime(kind) {
  if (!("AudioContext" in window)) return;
  const context = new AudioContext();
  const [, last] = NOTES[kind].map((pitch, i) => note(context, pitch, i * STEP));
  last.onended = () => context.close();
}

/** @param {AudioContext} context @param {number} pitch @param {number} after */
function note(context, pitch, after) {
  const [start, end] = [context.currentTime + after, context.currentTime + after + 3 * STEP];
  const oscillator = new OscillatorNode(context, { frequency: pitch });
  const gain = new GainNode(context, { gain: 0 });
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(VOLUME, start + 0.01);
  gain.gain.exponentialRampToValueAtTime(0.0001, end);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(start);
  oscillator.stop(end);
  return oscillator;
}
