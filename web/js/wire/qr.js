// @ts-check
/** Draws a text as a QR code (ISO/IEC 18004): bytes, error correction level M. */

/** By version, 1 to 40, for level M: error correction bytes in each block, and blocks. */
// prettier-ignore
const EC_BYTES = [10,16,26,18,24,16,18,22,22,26,30,22,22,24,24,28,28,26,26,26,26,28,28,28,28,28,28,28,28,28,28,28,28,28,28,28,28,28,28,28];
// prettier-ignore
const BLOCKS = [1,1,1,2,2,4,4,4,5,5,5,8,9,9,10,10,11,13,14,16,17,17,18,20,21,23,25,26,28,29,31,33,35,37,38,40,43,45,47,49];
/** How the format information names level M. */
const LEVEL_M = 0;

/**
 * The modules, row by row, true for dark; without the quiet zone of four modules that belongs around it.
 * @param {string} text
 * @returns {boolean[][]}
 */
export function qr(text) {
  const data = new TextEncoder().encode(text);
  const version = versionFor(data.length);
  const bits = withErrorCorrection(payload(data, version), version);
  const base = new Matrix(version);
  base.drawBits(bits);
  const masked = MASKS.map((mask, index) => base.masked(mask, index));
  return masked.reduce((best, other) => (other.penalty() < best.penalty() ? other : best)).modules;
}

/** @param {number} length */
function versionFor(length) {
  for (let version = 1; version <= 40; version += 1) {
    if (4 + lengthBits(version) + 8 * length <= 8 * dataBytes(version)) return version;
  }
  throw new RangeError("too long for a QR code");
}

/** @param {number} version */
function lengthBits(version) {
  return version < 10 ? 8 : 16;
}

/** Bytes of data and error correction. @param {number} version */
function allBytes(version) {
  let bits = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const count = Math.floor(version / 7) + 2;
    bits -= (25 * count - 10) * count - 55;
    if (version >= 7) bits -= 36;
  }
  return Math.floor(bits / 8);
}

/** @param {number} version */
function dataBytes(version) {
  return allBytes(version) - EC_BYTES[version - 1] * BLOCKS[version - 1];
}

/** The data with its mode, its length and its padding. @param {Uint8Array} data @param {number} version */
function payload(data, version) {
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ length) => {
    for (let i = length - 1; i >= 0; i -= 1) bits.push((value >> i) & 1);
  };
  const capacity = 8 * dataBytes(version);
  put(0b0100, 4);
  put(data.length, lengthBits(version));
  for (const byte of data) put(byte, 8);
  put(0, Math.min(4, capacity - bits.length));
  put(0, -bits.length & 7);
  for (let pad = 0xec; bits.length < capacity; pad ^= 0xec ^ 0x11) put(pad, 8);
  const bytes = new Uint8Array(capacity / 8);
  bits.forEach((bit, i) => (bytes[i >> 3] |= bit << (7 - (i & 7))));
  return bytes;
}

/** The blocks with their error correction, interleaved byte by byte. @param {Uint8Array} data @param {number} version */
function withErrorCorrection(data, version) {
  const [count, ecLength] = [BLOCKS[version - 1], EC_BYTES[version - 1]];
  const all = allBytes(version);
  const shortLength = Math.floor(all / count) - ecLength;
  const shortCount = count - (all % count);
  const divisor = generator(ecLength);
  const blocks = Array.from({ length: count }, (_, i) => {
    const from = i * shortLength + Math.max(0, i - shortCount);
    const bytes = data.subarray(from, from + shortLength + (i < shortCount ? 0 : 1));
    return { bytes, correction: remainder(bytes, divisor) };
  });
  /** @type {number[]} */
  const woven = [];
  for (let i = 0; i <= shortLength; i += 1) {
    for (const { bytes } of blocks) if (i < bytes.length) woven.push(bytes[i]);
  }
  for (let i = 0; i < ecLength; i += 1) for (const { correction } of blocks) woven.push(correction[i]);
  return woven;
}

/** Reed-Solomon over GF(2^8), modulo x^8+x^4+x^3+x^2+1. @param {number} degree */
export function generator(degree) {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  let root = 1;
  for (let i = 0; i < degree; i += 1) {
    for (let j = 0; j < degree; j += 1) result[j] = multiply(result[j], root) ^ (result[j + 1] ?? 0);
    root = multiply(root, 2);
  }
  return result;
}

/** @param {Uint8Array} data @param {Uint8Array} divisor */
export function remainder(data, divisor) {
  const result = new Uint8Array(divisor.length);
  for (const byte of data) {
    const factor = byte ^ result[0];
    result.copyWithin(0, 1);
    result[result.length - 1] = 0;
    divisor.forEach((coefficient, i) => (result[i] ^= multiply(coefficient, factor)));
  }
  return result;
}

/** @param {number} x @param {number} y */
function multiply(x, y) {
  let product = 0;
  for (let i = 7; i >= 0; i -= 1) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((y >> i) & 1) * x);
  return product;
}

/** Whether a module is turned over. @type {((x: number, y: number) => boolean)[]} */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The square of modules, some of which have a fixed function. */
class Matrix {
  /** @param {number} version */
  constructor(version) {
    this.version = version;
    this.size = 17 + 4 * version;
    this.modules = square(this.size);
    this.fixed = square(this.size);
    this.#drawTiming();
    for (const [x, y] of [[3, 3], [this.size - 4, 3], [3, this.size - 4]]) this.#drawFinder(x, y);
    this.#drawAlignment();
    this.#drawFormat(0);
    this.#drawVersion();
  }

  /** In a zigzag of columns that are two wide, from the lower right. @param {number[]} bytes */
  drawBits(bytes) {
    let i = 0;
    for (let right = this.size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      const isUpward = ((right + 1) & 2) === 0;
      for (let step = 0; step < this.size; step += 1) {
        const y = isUpward ? this.size - 1 - step : step;
        for (const x of [right, right - 1]) {
          if (this.fixed[y][x] || i >= 8 * bytes.length) continue;
          this.modules[y][x] = ((bytes[i >> 3] >> (7 - (i & 7))) & 1) === 1;
          i += 1;
        }
      }
    }
  }

  /** @param {(x: number, y: number) => boolean} mask @param {number} index */
  masked(mask, index) {
    const other = new Matrix(this.version);
    this.modules.forEach((row, y) =>
      row.forEach((dark, x) => {
        if (!this.fixed[y][x]) other.modules[y][x] = dark !== mask(x, y);
      }),
    );
    other.#drawFormat(index);
    return other;
  }

  /** How hard it is to read: long runs, blocks, what looks like a finder, and too much of one colour. */
  penalty() {
    const rows = this.modules;
    const columns = rows.map((_, x) => rows.map((row) => row[x]));
    let sum = 0;
    for (const line of [...rows, ...columns]) {
      const text = line.map(Number).join("");
      for (const run of text.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
      for (const finder of ["10111010000", "00001011101"]) {
        for (let at = text.indexOf(finder); at >= 0; at = text.indexOf(finder, at + 1)) sum += 40;
      }
    }
    for (let y = 0; y + 1 < this.size; y += 1) {
      for (let x = 0; x + 1 < this.size; x += 1) {
        const dark = rows[y][x];
        if (dark === rows[y][x + 1] && dark === rows[y + 1][x] && dark === rows[y + 1][x + 1]) sum += 3;
      }
    }
    const dark = rows.flat().filter(Boolean).length / this.size ** 2;
    return sum + 10 * Math.floor(Math.abs(dark * 20 - 10));
  }

  /** @param {number} x @param {number} y @param {boolean} dark */
  #set(x, y, dark) {
    if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
    this.modules[y][x] = dark;
    this.fixed[y][x] = true;
  }

  #drawTiming() {
    for (let i = 0; i < this.size; i += 1) {
      this.#set(6, i, i % 2 === 0);
      this.#set(i, 6, i % 2 === 0);
    }
  }

  /** @param {number} x @param {number} y */
  #drawFinder(x, y) {
    for (let dy = -4; dy <= 4; dy += 1) {
      for (let dx = -4; dx <= 4; dx += 1) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        this.#set(x + dx, y + dy, ring !== 2 && ring !== 4);
      }
    }
  }

  #drawAlignment() {
    const places = alignment(this.version, this.size);
    const last = places.length - 1;
    places.forEach((y, i) =>
      places.forEach((x, j) => {
        const isFinder = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
        if (isFinder) return;
        for (let dy = -2; dy <= 2; dy += 1) {
          for (let dx = -2; dx <= 2; dx += 1) this.#set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
        }
      }),
    );
  }

  /** Level and mask, with their own error correction, twice. @param {number} mask */
  #drawFormat(mask) {
    const data = (LEVEL_M << 3) | mask;
    const bits = ((data << 10) | modulo(data << 10, 0x537)) ^ 0x5412;
    const bit = (/** @type {number} */ i) => ((bits >> i) & 1) === 1;
    for (let i = 0; i <= 5; i += 1) this.#set(8, i, bit(i));
    this.#set(8, 7, bit(6));
    this.#set(8, 8, bit(7));
    this.#set(7, 8, bit(8));
    for (let i = 9; i < 15; i += 1) this.#set(14 - i, 8, bit(i));
    for (let i = 0; i < 8; i += 1) this.#set(this.size - 1 - i, 8, bit(i));
    for (let i = 8; i < 15; i += 1) this.#set(8, this.size - 15 + i, bit(i));
    this.#set(8, this.size - 8, true);
  }

  #drawVersion() {
    if (this.version < 7) return;
    const bits = (this.version << 12) | modulo(this.version << 12, 0x1f25);
    for (let i = 0; i < 18; i += 1) {
      const [a, b, dark] = [this.size - 11 + (i % 3), Math.floor(i / 3), ((bits >> i) & 1) === 1];
      this.#set(a, b, dark);
      this.#set(b, a, dark);
    }
  }
}

/** The rows and columns in which alignment patterns are centred. @param {number} version @param {number} size */
function alignment(version, size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  const rest = Array.from({ length: count - 1 }, (_, i) => size - 7 - i * step);
  return [6, ...rest.reverse()];
}

/** The remainder of a division of polynomials over GF(2). @param {number} value @param {number} divisor */
function modulo(value, divisor) {
  const degree = 31 - Math.clz32(divisor);
  let rest = value;
  while (31 - Math.clz32(rest) >= degree && rest !== 0) rest ^= divisor << (31 - Math.clz32(rest) - degree);
  return rest;
}

/** @param {number} size @returns {boolean[][]} */
function square(size) {
  return Array.from({ length: size }, () => Array(size).fill(false));
}
