// @ts-check
/** How a picture fills its tile, so that no face is cut. */

/** More than this is never cut off above and below, where chin and hair are. */
const OF_HEIGHT = 0.35;
/** Nor is this at the sides, where mostly walls are. */
const OF_WIDTH = 0.45;

/**
 * How much larger a picture is shown than where all of it is seen: 1 where all is seen, `full` where it fills the tile.
 * @param {number} picture  its width, of its height
 * @param {number} tile  likewise
 */
export function zoomOf(picture, tile) {
  const full = Math.max(picture / tile, tile / picture);
  const cut = 1 - 1 / full;
  if (tile < picture) return { full, zoom: Math.min(full, 1 / (1 - OF_WIDTH)) };
  // To cut less than this would show neither all of it nor fill the tile.
  return { full, zoom: cut > OF_HEIGHT ? 1 : full };
}
