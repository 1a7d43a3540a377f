// @ts-check
/** Divides what may be sent among the pictures that are sent: how large each is, how often it changes, and how many bits it has. */

/** The sizes of a camera's picture, by its shorter side, with the bit rates from which each is worth it and above which it is wasted. */
const STEPS = [
  { size: 720, from: 1_100_000, most: 1_800_000, rate: 30 },
  { size: 540, from: 600_000, most: 1_000_000, rate: 30 },
  { size: 360, from: 280_000, most: 600_000, rate: 24 },
  { size: 270, from: 150_000, most: 350_000, rate: 20 },
  { size: 180, from: 0, most: 180_000, rate: 15 },
];
/** A larger picture is begun with more than it needs, so that it is not soon given up again. */
const MARGIN = 1.15;
/** With fewer bits than these, a picture is worth nothing to anybody. */
export const LEAST = 50_000;
/** Text that stands still takes few bits, and text that is scrolled takes all it gets. */
const SCREEN = { most: 1_500_000, smooth: 600_000, rate: 15, slowRate: 6 };
/** Of what is scarce, a screen gets so many times as much as a camera. */
const SCREEN_WEIGHT = 3;

/** Bits per second for one other member. @typedef {{ camera: number, screen: number }} Rates */
/** How a picture is sent: `RTCRtpEncodingParameters`. @typedef {{ active: boolean, maxBitrate: number, scaleResolutionDownBy: number, maxFramerate: number }} Encoding */

/** The step that shows everything of a picture that has so many pixels on its shorter side. @param {number} pixels */
export function stepFor(pixels) {
  return STEPS.findLast(({ size }) => size >= pixels) ?? STEPS[0];
}

/**
 * How many bits are of use to somebody who sees pictures of these sizes, in pixels on the shorter side; 0 is not seen.
 * @param {{ camera: number, screen: number }} seen
 * @returns {Rates}
 */
export function wanted({ camera, screen }) {
  return { camera: camera > 0 ? stepFor(camera).most : 0, screen: screen > 0 ? SCREEN.most : 0 };
}

/**
 * Nobody gets more than they can use, nor more than their connection carries; what is scarce is shared equally.
 * @param {number} total  bit/s
 * @param {{ wanted: Rates, limit: number }[]} others
 * @returns {Rates[]}
 */
export function share(total, others) {
  const bounded = others.map(({ wanted, limit }) => within(wanted, limit));
  const streams = bounded.flatMap(({ camera, screen }) => [
    { most: camera, weight: 1 },
    { most: screen, weight: SCREEN_WEIGHT },
  ]);
  const given = fill(total, streams);
  return bounded.map((_, i) => ({ camera: given[2 * i], screen: given[2 * i + 1] }));
}

/**
 * @param {number} bits  per second
 * @param {number} size  of what is captured, on the shorter side
 * @param {number} before  the size that was sent last; 0 for none
 * @returns {Encoding & { size: number }}
 */
export function cameraEncoding(bits, size, before) {
  const step = STEPS.find((it) => bits >= it.from * (before && before < it.size ? MARGIN : 1)) ?? STEPS[STEPS.length - 1];
  return { ...atMost(bits), scaleResolutionDownBy: Math.max(1, size / step.size), maxFramerate: step.rate, size: step.size };
}

/** All of a screen can be read, however seldom it changes. @param {number} bits @returns {Encoding} */
export function screenEncoding(bits) {
  const maxFramerate = bits >= SCREEN.smooth ? SCREEN.rate : SCREEN.slowRate;
  return { ...atMost(bits), scaleResolutionDownBy: 1, maxFramerate };
}

/** @param {number} bits */
function atMost(bits) {
  return { active: bits >= LEAST, maxBitrate: Math.max(LEAST, Math.floor(bits)) };
}

/** @param {Rates} rates @param {number} limit @returns {Rates} */
function within({ camera, screen }, limit) {
  const [some, rest] = fill(limit, [{ most: camera, weight: 1 }, { most: screen, weight: SCREEN_WEIGHT }]);
  return { camera: some, screen: rest };
}

/**
 * Max-min fairness by weight: whoever wants less than their share leaves the rest to the others.
 * @param {number} total @param {{ most: number, weight: number }[]} streams @returns {number[]}
 */
function fill(total, streams) {
  const given = streams.map(() => 0);
  const byNeed = [...streams.keys()].sort((a, b) => streams[a].most / streams[a].weight - streams[b].most / streams[b].weight);
  let [left, weights] = [total, streams.reduce((sum, { weight }) => sum + weight, 0)];
  for (const i of byNeed) {
    const { most, weight } = streams[i];
    given[i] = Math.min(most, (left * weight) / weights);
    left -= given[i];
    weights -= weight;
  }
  return given;
}
