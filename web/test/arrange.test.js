import assert from "node:assert/strict";
import { test } from "node:test";

import { arrange, largeOf } from "../js/wire/arrange.js";

/** Stages as they are on phones, upright and lying, in small windows and on large screens. */
const STAGES = [[304, 440], [374, 712], [812, 276], [608, 280], [608, 348], [1248, 668], [2528, 1310]];

/** Oneself and so many others, and screens. */
function people(count, { screens = 0, aspect = 16 / 9, own = false } = {}) {
  const camera = (id, isSelf) => ({ id, isSelf, isScreen: false, aspect });
  const screen = (id, isSelf) => ({ id, isSelf, isScreen: true, aspect: 1.6 });
  return [
    camera("self", true),
    ...Array.from({ length: count - 1 }, (_, i) => camera(`p${i + 1}`, false)),
    ...Array.from({ length: screens }, (_, i) => screen(`s${i + 1}`, false)),
    ...(own ? [screen("own", true)] : []),
  ];
}

const wish = { pinned: "", layout: "grid", speaker: "" };

function arranged(items, [width, height], wished = {}) {
  return arrange(items, largeOf(items, { ...wish, ...wished }), { width, height, gap: width < 640 ? 8 : 12, corner: "bottom-right" });
}

test("of two people the other is large, of more nobody is, until there is a screen, a speaker to be shown, or a choice", () => {
  const large = (items, wished) => largeOf(items, { ...wish, ...wished });
  assert.equal(large(people(1)), null);
  assert.equal(large(people(2)), "p1");
  assert.equal(large(people(3)), null);
  assert.equal(large(people(3, { screens: 1 })), "s1");
  assert.equal(large(people(3, { screens: 2 })), "s2");
  assert.equal(large(people(3, { screens: 2 }), { pinned: "s1" }), "s1");
  assert.equal(large(people(3), { pinned: "p2" }), "p2");
  assert.equal(large(people(4), { layout: "speaker", speaker: "p3" }), "p3");
  assert.equal(large(people(4), { layout: "speaker", speaker: "gone" }), "p1");
  assert.equal(large(people(3, { own: true })), null);
  assert.equal(large(people(1, { own: true })), null);
});

test("a screen's strip has tiles of a usable shape for up to eight people, on every stage", () => {
  for (const stage of STAGES) {
    for (let count = 2; count <= 8; count += 1) {
      const { boxes, rest, overlay } = arranged(people(count, { screens: 1 }), stage);
      assert.equal(overlay, null);
      assert.equal(boxes.size, count + 1, `${stage} ${count}: ${rest}`);
      for (const [id, { width, height }] of boxes) {
        if (id === "s1") continue;
        const shape = `${id} of ${count} at ${stage}: ${Math.round(width)}×${Math.round(height)}`;
        assert.ok(width >= 76 && height >= 57, shape);
        assert.ok(width / height > 0.99 && width / height < 1.79, shape);
      }
    }
  }
});

test("a screen keeps most of the stage, or on an upright phone its whole width", () => {
  for (const [width, height] of STAGES) {
    const { boxes } = arranged(people(8, { screens: 1 }), [width, height]);
    const screen = boxes.get("s1");
    const seen = Math.min(screen.width, screen.height * 1.6);
    assert.ok(width < height ? screen.width === width : seen > 0.5 * Math.min(width, height * 1.6), `${width}×${height}: ${seen}`);
  }
});

test("a screen's tile ends where the screen does, with its strip beside it and as much left over on both sides", () => {
  for (const [width, height] of STAGES) {
    for (let count = 1; count <= 8; count += 1) {
      const { boxes } = arranged(people(count, { screens: 1 }), [width, height]);
      const { s1: screen, ...others } = Object.fromEntries(boxes);
      assert.ok(Math.abs(screen.width / screen.height - 1.6) < 1e-9);
      const all = [screen, ...Object.values(others)];
      const gap = width < 640 ? 8 : 12;
      const [right, bottom] = [screen.x + screen.width, screen.y + screen.height];
      if (all.length > 1) assert.ok(all.slice(1).some(({ x, y }) => Math.abs(x - right - gap) < 45 || Math.abs(y - bottom - gap) < 45));
      assert.ok(Math.min(screen.x, screen.y) < 0.3 * Math.max(width, height));
    }
  }
});

test("nothing overlaps and nothing leaves the stage, but for one's own picture, which stands on the large one", () => {
  for (const [width, height] of STAGES) {
    for (const wished of [{}, { layout: "speaker" }, { pinned: "p1" }]) {
      for (let count = 1; count <= 8; count += 1) {
        const { boxes, overlay } = arranged(people(count, { screens: count % 3 }), [width, height], wished);
        const all = [...boxes].filter(([id]) => id !== overlay).map(([, box]) => box);
        for (const box of boxes.values()) {
          assert.ok(box.x > -1 && box.y > -1 && box.x + box.width < width + 1 && box.y + box.height < height + 1, JSON.stringify(box));
        }
        for (const a of all) for (const b of all) assert.ok(a === b || !overlaps(a, b), JSON.stringify([a, b]));
      }
    }
  }
});

test("of one's own screen it is said in one line that it is shared, and nobody moves for it", () => {
  for (const stage of STAGES) {
    for (const count of [1, 2, 4, 8]) {
      const { own, ...others } = Object.fromEntries(arranged(people(count, { own: true }), stage).boxes);
      assert.deepEqual(others, Object.fromEntries(arranged(people(count), stage).boxes));
      assert.ok(own.height < 60 && own.width < stage[0] && own.y < 20);
    }
  }
});

test("where not everybody has room, it is said how many more there are", () => {
  const { boxes, rest } = arranged(people(8, { screens: 1 }), [200, 150]);
  assert.ok(boxes.size > 1 && boxes.size < 9);
  assert.ok(rest.width >= 76 && rest.height >= 57);
  assert.ok([...boxes.values()].every((box) => !overlaps(box, rest)));
});

test("one's own picture covers little of the other's, upright or wide, and stands in the corner that was chosen", () => {
  for (const [width, height] of STAGES) {
    for (const aspect of [3 / 4, 9 / 16, 16 / 9]) {
      const { boxes, overlay } = arranged(people(2, { aspect }), [width, height]);
      const own = boxes.get(overlay);
      assert.ok(own.width * own.height <= 0.08 * width * height, `${width}×${height}, ${aspect}: ${JSON.stringify(own)}`);
      assert.ok(own.height <= 0.34 * height && own.width <= 0.34 * width);
    }
  }
  const corner = "top-left";
  const { boxes } = arrange(people(2), "p1", { width: 1000, height: 600, gap: 12, corner });
  assert.deepEqual([boxes.get("self").x, boxes.get("self").y], [12, 12]);
});

test("eight wide pictures stand in three columns, four beside each other where there is room, upright ones in a row", () => {
  const columns = (items, stage) => new Set([...arranged(items, stage).boxes.values()].map(({ width }) => Math.round(stage[0] / width)));
  assert.deepEqual([...columns(people(8), [1248, 668])], [3]);
  assert.deepEqual([...columns(people(4), [1248, 668])], [2]);
  assert.deepEqual([...columns(people(4, { aspect: 9 / 16 }), [1248, 668])], [4]);
  assert.deepEqual([...columns(people(3), [374, 712])], [1]);
});

function overlaps(a, b) {
  return a.x + a.width > b.x + 0.5 && b.x + b.width > a.x + 0.5 && a.y + a.height > b.y + 0.5 && b.y + b.height > a.y + 0.5;
}
