import assert from "node:assert/strict";
import { test } from "node:test";

import { LEAST, cameraEncoding, screenEncoding, share, stepFor, wanted } from "../js/wire/budget.js";

const camera = (pixels, limit = Infinity) => ({ wanted: wanted({ camera: pixels, screen: 0 }), limit });
const cameras = (rates) => rates.map(({ camera }) => Math.round(camera / 1000));

test("in a call of two the picture has all that it can use", () => {
  assert.deepEqual(cameras(share(2_500_000, [camera(720)])), [1800]);
});

test("in a larger call what is scarce is shared equally, and stays below what one line carries", () => {
  for (const others of [2, 3, 5, 7]) {
    const rates = cameras(share(2_500_000, Array(others).fill(camera(720))));
    assert.equal(new Set(rates).size, 1);
    assert.ok(rates.reduce((a, b) => a + b) <= 2500);
  }
});

test("whoever shows a small picture, or none, leaves the rest to the others", () => {
  assert.deepEqual(cameras(share(1_500_000, [camera(180), camera(0), camera(720), camera(720)])), [180, 0, 660, 660]);
});

test("nobody is sent more than the connection carries", () => {
  assert.deepEqual(cameras(share(2_500_000, [camera(720, 200_000), camera(720)])), [200, 1800]);
});

test("a screen gets three times as much as a camera, on one connection and over all", () => {
  const both = { wanted: wanted({ camera: 720, screen: 720 }), limit: Infinity };
  assert.deepEqual(share(800_000, [both]), [{ camera: 200_000, screen: 600_000 }]);
  assert.deepEqual(share(9_000_000, [{ ...both, limit: 400_000 }]), [{ camera: 100_000, screen: 300_000 }]);
});

test("a camera's picture is as large as its bits are worth", () => {
  const sizes = [1_800_000, 800_000, 400_000, 200_000, 60_000].map((bits) => {
    const { scaleResolutionDownBy, maxFramerate, maxBitrate } = cameraEncoding(bits, 720, 0);
    return [Math.round(720 / scaleResolutionDownBy), maxFramerate, maxBitrate];
  });
  assert.deepEqual(sizes, [[720, 30, 1_800_000], [540, 30, 800_000], [360, 24, 400_000], [270, 20, 200_000], [180, 15, 60_000]]);
});

test("a picture is never made larger than it is captured", () => {
  assert.equal(cameraEncoding(1_800_000, 360, 0).scaleResolutionDownBy, 1);
});

test("a larger picture is begun only with bits to spare, and not given up for a few", () => {
  assert.equal(cameraEncoding(610_000, 720, 360).size, 360);
  assert.equal(cameraEncoding(700_000, 720, 360).size, 540);
  assert.equal(cameraEncoding(610_000, 720, 540).size, 540);
});

test("a picture with too few bits is not sent, and the browser is never told to send with none", () => {
  for (const encoding of [cameraEncoding(LEAST - 1, 720, 0), cameraEncoding(0, 720, 0), screenEncoding(0)]) {
    assert.deepEqual([encoding.active, encoding.maxBitrate], [false, LEAST]);
  }
});

test("a screen keeps all its pixels, and moves less smoothly instead", () => {
  assert.deepEqual(screenEncoding(1_500_000), { active: true, maxBitrate: 1_500_000, scaleResolutionDownBy: 1, maxFramerate: 15 });
  assert.deepEqual(screenEncoding(200_000), { active: true, maxBitrate: 200_000, scaleResolutionDownBy: 1, maxFramerate: 6 });
});

test("the step of a picture is the smallest that shows all of it", () => {
  assert.deepEqual([1, 180, 181, 360, 700, 2000].map((pixels) => stepFor(pixels).size), [180, 180, 270, 360, 720, 720]);
});
