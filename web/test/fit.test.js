import assert from "node:assert/strict";
import { test } from "node:test";

import { zoomOf } from "../js/wire/fit.js";

/** How much of the picture is cut off, and how much of the tile stays empty, in hundredths. */
function seen(picture, tile) {
  const { zoom, full } = zoomOf(picture, tile);
  const [wide, high] = picture > tile ? [zoom, (zoom * tile) / picture] : [(zoom * picture) / tile, zoom];
  assert.ok(zoom >= 1 && zoom <= full);
  return { cut: Math.round(100 - 100 / Math.max(wide, high, 1)), empty: Math.round(100 - 100 * Math.min(wide, high, 1)) };
}

test("a picture of nearly the tile's shape fills it", () => {
  assert.deepEqual(seen(16 / 9, 16 / 9), { cut: 0, empty: 0 });
  assert.deepEqual(seen(4 / 3, 16 / 9), { cut: 25, empty: 0 });
  assert.deepEqual(seen(16 / 9, 1), { cut: 44, empty: 0 });
});

test("of a phone held upright the whole head is seen on a desktop", () => {
  assert.equal(seen(9 / 16, 1248 / 668).cut, 0);
  assert.equal(seen(3 / 4, 16 / 9).cut, 0);
});

test("of a desktop's picture an upright phone sees what is between the walls, and never less than half", () => {
  const { cut, empty } = seen(16 / 9, 374 / 712);
  assert.equal(cut, 45);
  assert.ok(empty < 60);
});
