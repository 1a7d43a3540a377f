import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { generator, qr, remainder } from "../js/wire/qr.js";

test("error correction is that of the standard's own example", () => {
  // ISO/IEC 18004, annex I: "01234567" in version 1-M.
  const data = [0x10, 0x20, 0x0c, 0x56, 0x61, 0x80, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11];
  const expected = [0xa5, 0x24, 0xd4, 0xc1, 0xed, 0x36, 0xc7, 0x87, 0x2c, 0x55];
  assert.deepEqual([...remainder(new Uint8Array(data), generator(10))], expected);
});

test("a short text is drawn as others draw it", () => {
  const drawn = qr("https").map((row) => row.map((dark) => (dark ? "#" : ".")).join(""));
  assert.deepEqual(drawn, HTTPS);
});

test("longer texts are drawn as others draw them", () => {
  // Made with qrcode-generator 1.x (MIT), and read back with jsQR.
  for (const [length, size, hash] of VECTORS) {
    const text = "https://call.example.org/r/".padEnd(length, "aZ9#한é-_").slice(0, length);
    const modules = qr(text);
    const bits = modules.flat().map(Number).join("");
    assert.deepEqual([modules.length, createHash("sha256").update(bits).digest("hex").slice(0, 16)], [size, hash]);
  }
});

test("what does not fit is refused", () => {
  assert.throws(() => qr("x".repeat(2332)), RangeError);
  assert.equal(qr("x".repeat(2331)).length, 177);
});

// prettier-ignore
const HTTPS = [
  "#######..#.##.#######",
  "#.....#...##..#.....#",
  "#.###.#.#...#.#.###.#",
  "#.###.#.#.....#.###.#",
  "#.###.#.###.#.#.###.#",
  "#.....#.##.#..#.....#",
  "#######.#.#.#.#######",
  "........##...........",
  "#.#####....#..#####..",
  "###.#..#.######..####",
  "##.#.##..#..#.##..##.",
  "..###...#######..##..",
  "###..###..#.#..#.#..#",
  "........#...#..#.##.#",
  "#######..###.#..#.##.",
  "#.....#.##.....#####.",
  "#.###.#.####.#..##.#.",
  "#.###.#.#.######..#..",
  "#.###.#.###.#.##..#..",
  "#.....#..######.###..",
  "#######.##..#..#.#.#.",
];

/** Characters, modules on a side, the beginning of the SHA-256 of the modules. */
const VECTORS = [
  [60, 37, "5cc639c4d6f4a41d"],
  [213, 65, "1869cb43368bc0de"],
  [300, 77, "d0f2ac3d5e72a2ce"],
  [1200, 153, "aff3660a8631db1b"],
  [1700, 177, "e70a66c0cb87eb86"],
];
