// @ts-check
/** Where each tile stands on the stage, from sizes alone. */

import { zoomOf } from "./fit.js";

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {{ id: string, isSelf: boolean, isScreen: boolean, aspect: number }} Item  `aspect` is the picture's width, of its height */
/** @typedef {"grid" | "speaker"} Layout */
/** @typedef {"top-left" | "top-right" | "bottom-left" | "bottom-right"} Corner */
/**
 * @typedef {object} Arrangement
 * @property {Map<string, Box>} boxes  of those that are seen
 * @property {string | null} large
 * @property {string | null} overlay  which stands on the large one
 * @property {Box | null} rest  where it is said how many more there are
 */

/** What is smaller is not recognized. */
const SMALLEST = { width: 76, height: 57 };
/** What is larger takes room from the large picture and shows no more, but where the whole stage is hardly wider. */
const LARGEST = 320;
const NARROW = 480;
/** Tiles beside a large one are between a square and a screen's shape. */
const SHAPES = { from: 1, to: 16 / 9 };
/** What a strip's tiles are worth, of the same area in the large picture. */
const WORTH = 0.35;
/** What one's own picture takes of the large one's area, as long as it is seen; it may be upright, as on a phone. */
const OVERLAY = { share: 0.055, from: 0.75, width: { least: 84, most: 320 }, side: 0.33 };
/** Of one's own screen it is only said that it is shared. */
const NOTE = { width: 400, height: 56 };

/**
 * Which tile is large: the one that the user chose, a screen, the only other one, or whoever speaks.
 * @param {Item[]} items
 * @param {{ pinned: string, layout: Layout, speaker: string }} wish
 * @returns {string | null}
 */
export function largeOf(items, { pinned, layout, speaker }) {
  const others = items.filter(({ isSelf }) => !isSelf);
  const chosen = others.find(({ id }) => id === pinned) ?? others.findLast(({ isScreen }) => isScreen);
  if (chosen) return chosen.id;
  if (others.length !== 1 && layout === "grid") return null;
  return (others.find(({ id }) => id === speaker) ?? others[0])?.id ?? null;
}

/**
 * @param {Item[]} items
 * @param {string | null} large
 * @param {{ width: number, height: number, gap: number, corner: Corner }} stage
 * @returns {Arrangement}
 */
export function arrange(items, large, { width, height, gap, corner }) {
  const area = { x: 0, y: 0, width, height };
  const own = items.find(({ isSelf, isScreen }) => isSelf && isScreen);
  const main = items.find(({ id }) => id === large);
  const { boxes, ...rest } = main ? aroundLarge(main, items.filter((it) => it !== own), area, gap, corner) : inGrid(items.filter((it) => it !== own), area, gap);
  if (own) boxes.set(own.id, above(boxes.get(main?.id ?? "") ?? area, gap));
  return { boxes, ...rest };
}

/** @param {Item[]} items @param {Box} area @param {number} gap @returns {Arrangement} */
function inGrid(items, area, gap) {
  return { boxes: named(items, grid(area, items, gap)), large: null, overlay: null, rest: null };
}

/** @param {Item} main @param {Item[]} items @param {Box} area @param {number} gap @param {Corner} corner @returns {Arrangement} */
function aroundLarge(main, items, area, gap, corner) {
  // One's own face may cover a wall behind somebody, but nothing on a screen.
  const overlay = main.isScreen ? undefined : items.find(({ isSelf, isScreen }) => isSelf && !isScreen);
  const others = items.filter((it) => it !== main && it !== overlay);
  const { box, strip } = closed(beside(area, main, others.length, gap), main);
  const isCrowded = strip.length < others.length;
  const shown = others.slice(0, isCrowded ? Math.max(0, strip.length - 1) : others.length);
  const boxes = named(shown, strip).set(main.id, box);
  if (overlay) boxes.set(overlay.id, cornered(box, overlay.aspect, corner, gap));
  return { boxes, large: main.id, overlay: overlay?.id ?? null, rest: (isCrowded && strip.at(-1)) || null };
}

/** @param {Item[]} items @param {Box[]} boxes */
function named(items, boxes) {
  return new Map(items.map(({ id }, i) => [id, boxes[i]]));
}

/** Rows of tiles of one size, the last row in the middle, so that most of all pictures is seen. @param {Box} area @param {Item[]} items @param {number} gap */
function grid(area, items, gap) {
  const seen = (/** @type {Box} */ cell) => items.reduce((sum, { aspect }) => sum + seenOf(cell, aspect), 0);
  return best(tilings(area, items.length, gap), ([cell]) => (cell ? seen(cell) : 0)) ?? [];
}

/** A large picture, and as many others as fit in a strip on its right or below it. @param {Box} area @param {Item} main @param {number} count @param {number} gap */
function beside(area, main, count, gap) {
  const most = area.width > NARROW ? LARGEST : area.width;
  const worth = main.isScreen ? seenOf : facedOf;
  for (let cells = count; cells > 0; cells -= 1) {
    const ways = splits(area, gap).flatMap(({ box, side }) => {
      return tilings(side, cells, gap, (cell) => shaped(cell, most)).map((strip) => ({ box, strip }));
    });
    const fitting = ways.filter(({ strip: [{ width, height }] }) => width >= SMALLEST.width && height >= SMALLEST.height);
    const found = best(fitting, ({ box, strip }) => worth(box, main.aspect) + WORTH * strip.length * seenOf(strip[0], 4 / 3));
    if (found) return found;
  }
  return { box: area, strip: [] };
}

/**
 * A screen is seen whole: its tile has its shape, and what that leaves over is around it and its strip, not between them.
 * @param {{ box: Box, strip: Box[] }} both @param {Item} main
 */
function closed({ box, strip }, main) {
  if (!main.isScreen) return { box, strip };
  const width = Math.min(box.width, box.height * main.aspect);
  const height = width / main.aspect;
  const [left, top] = [(box.width - width) / 2, (box.height - height) / 2];
  const isBeside = strip.length > 0 && strip[0].x >= box.x + box.width;
  const moved = strip.map(({ x, y, ...size }) => ({ x: isBeside ? x - left : x, y: isBeside ? y : y - top, ...size }));
  return { box: { x: box.x + left, y: box.y + top, width, height }, strip: moved };
}

/** All ways to divide the stage between the large picture and the strip. @param {Box} area @param {number} gap */
function splits({ width, height }, gap) {
  const ways = [];
  for (let share = 0.1; share <= 0.7; share += 0.01) {
    const [wide, high] = [Math.round(width * share), Math.round(height * share)];
    ways.push(
      { box: { x: 0, y: 0, width: width - wide - gap, height }, side: { x: width - wide, y: 0, width: wide, height } },
      { box: { x: 0, y: 0, width, height: height - high - gap }, side: { x: 0, y: height - high, width, height: high } },
    );
  }
  return ways;
}

/** @typedef {{ width: number, height: number }} Size */

/**
 * With each number of columns, the highest first: rows of cells of one size, in the middle of an area.
 * @param {Box} area @param {number} count @param {number} gap @param {(cell: Size) => Size} [shape]
 * @returns {Box[][]}
 */
function tilings(area, count, gap, shape) {
  return [...Array(count)].map((_, i) => tiling(area, count, count - i, gap, shape));
}

/** @param {Box} area @param {number} count @param {number} columns @param {number} gap @param {(cell: Size) => Size} [shape] @returns {Box[]} */
function tiling(area, count, columns, gap, shape = (cell) => cell) {
  const rows = Math.ceil(count / columns);
  const [wide, high] = [(columns - 1) * gap, (rows - 1) * gap];
  const { width, height } = shape({ width: (area.width - wide) / columns, height: (area.height - high) / rows });
  const left = area.x + (area.width - columns * width - wide) / 2;
  const top = area.y + (area.height - rows * height - high) / 2;
  return [...Array(count)].map((_, i) => {
    const row = Math.floor(i / columns);
    const missing = row === rows - 1 ? rows * columns - count : 0;
    const column = (i % columns) + missing / 2;
    return { x: left + column * (width + gap), y: top + row * (height + gap), width, height };
  });
}

/** The largest tile of a good shape within a cell. @param {Size} cell @param {number} most  how wide it may be @returns {Size} */
function shaped({ width, height }, most) {
  const wide = Math.min(width, height * SHAPES.to, most);
  return { width: wide, height: Math.min(height, wide / SHAPES.from) };
}

/** One line, over what is seen. @param {Box} box @param {number} gap @returns {Box} */
function above(box, gap) {
  const width = Math.min(NOTE.width, box.width - 2 * gap);
  return { x: box.x + (box.width - width) / 2, y: box.y + gap, width, height: NOTE.height };
}

/** @param {Box} box @param {number} aspect @param {Corner} corner @param {number} gap @returns {Box} */
function cornered(box, aspect, corner, gap) {
  const shape = Math.min(Math.max(aspect, OVERLAY.from), SHAPES.to);
  const wanted = Math.sqrt(OVERLAY.share * box.width * box.height * shape);
  const most = Math.min(OVERLAY.width.most, OVERLAY.side * box.width, OVERLAY.side * box.height * shape);
  const width = Math.min(Math.max(wanted, OVERLAY.width.least), most);
  const height = width / shape;
  const x = corner.endsWith("left") ? box.x + gap : box.x + box.width - width - gap;
  const y = corner.startsWith("top") ? box.y + gap : box.y + box.height - height - gap;
  return { x, y, width, height };
}

/** The area in which all of a picture is seen. @param {Box} box @param {number} aspect */
function seenOf({ width, height }, aspect) {
  return Math.max(0, Math.min(width, height * aspect)) ** 2 / aspect;
}

/** The area in which a picture is seen that wire/fit.js cuts; the less of it, the less it is worth. @param {Box} box @param {number} aspect */
function facedOf({ width, height }, aspect) {
  const { zoom } = zoomOf(aspect, width / height);
  const [wide, high] = [Math.min(width, height * aspect) * zoom, (Math.min(width, height * aspect) * zoom) / aspect];
  const seen = Math.max(0, Math.min(width, wide)) * Math.max(0, Math.min(height, high));
  return seen * Math.sqrt(seen / Math.max(1, wide * high));
}

/** @template T @param {T[]} all @param {(one: T) => number} worth */
function best(all, worth) {
  return all.reduce((/** @type {{ one?: T, most: number }} */ found, one) => {
    const value = worth(one);
    return value > found.most ? { one, most: value } : found;
  }, { most: 0 }).one;
}
