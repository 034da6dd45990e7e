/**
 * The picture systemd-stub shows while it starts the kernel, when nobody gives another: a ring around a dot in greys on black, drawn with integers only, so
 * that it is the same everywhere. It is measured, so any change to it changes PCR 11 of every image.
 * BMP with 4 bits per pixel: the least systemd-stub can show with smooth edges. Source: systemd src/boot/splash.c for what it accepts.
 */
import { type Bytes, ofMemory } from '../bytes/bytes.ts';
import { putAscii, structure } from '../bytes/field.ts';

/** Pixels, both ways; a multiple of 8, so that rows need no padding. */
const SIDE = 192;
const HALF: number = SIDE / 2;
const SHADES = 16;
const FILE_HEADER = 14;
const INFO_HEADER = 40;
const PIXELS_START: number = FILE_HEADER + INFO_HEADER + SHADES * 4;

/** Each pixel is sampled at 4 x 4 points. */
const SAMPLES = 4;

/** Circles around the centre, radii in samples: the dot and the ring are covered, what lies between them is not. */
const CIRCLES = [
  { radius: 72, covers: 1 },
  { radius: 248, covers: -1 },
  { radius: 320, covers: 1 },
] as const;

/** Of white, so that it does not glare: 0..255. */
const BRIGHTEST = 0xd0;

let drawn: Bytes | undefined;

/** A whole BMP file. */
export function defaultSplash(): Bytes {
  drawn ??= ofMemory(drawSplash());
  return drawn;
}

function drawSplash(): Uint8Array {
  const size = PIXELS_START + (SIDE * SIDE) / 2;
  const { data, view } = structure(size);
  putAscii(data, 0, 2, 'BM');
  view.setUint32(2, size, true);
  view.setUint32(10, PIXELS_START, true);
  view.setUint32(14, INFO_HEADER, true);
  view.setUint32(18, SIDE, true);
  view.setUint32(22, SIDE, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 4, true);
  view.setUint32(34, size - PIXELS_START, true);
  view.setUint32(46, SHADES, true);
  for (let shade = 0; shade < SHADES; shade++) {
    const level = Math.floor((shade * BRIGHTEST) / (SHADES - 1));
    data.fill(level, FILE_HEADER + INFO_HEADER + shade * 4, FILE_HEADER + INFO_HEADER + shade * 4 + 3);
  }
  for (let y = 0; y < HALF; y++) {
    const row = encodeRow(shadesOfRow(y));
    data.set(row, PIXELS_START + (HALF - 1 - y) * row.length);
    data.set(row, PIXELS_START + (HALF + y) * row.length);
  }
  return data;
}

/** Two pixels a byte, the left one in the high bits; `shades` are those right of the centre, and the left half is their mirror image. */
function encodeRow(shades: Uint8Array): Uint8Array {
  const row = new Uint8Array(HALF);
  for (let x = 0; x < HALF; x += 2) {
    row[(HALF + x) / 2] = (shades[x]! << 4) | shades[x + 1]!;
    row[(HALF - 2 - x) / 2] = (shades[x + 1]! << 4) | shades[x]!;
  }
  return row;
}

/** Shades of the pixels right of the centre, `y` rows away from it: how many of a pixel's samples are covered. */
function shadesOfRow(y: number): Uint8Array {
  // Each entry is the difference to the pixel before: a circle's line of samples then takes three steps, however long it is.
  const differences = new Int8Array(HALF + 2);
  for (let line = y * SAMPLES; line < (y + 1) * SAMPLES; line++) {
    for (const { radius, covers } of CIRCLES) {
      const width = samplesWithin(radius, line);
      const whole = Math.floor(width / SAMPLES);
      differences[0]! += covers * SAMPLES;
      differences[whole]! -= covers * (SAMPLES - (width % SAMPLES));
      differences[whole + 1]! -= covers * (width % SAMPLES);
    }
  }
  const shades = new Uint8Array(HALF);
  for (let x = 0, covered = 0; x < HALF; x++) {
    covered += differences[x]!;
    shades[x] = Math.min(SHADES - 1, covered);
  }
  return shades;
}

/** Samples of the line `line` away from the centre that lie within the radius, on one side. Sample centres are at odd numbers of half samples. */
function samplesWithin(radius: number, line: number): number {
  const dy = 2 * line + 1;
  const squared = 4 * radius * radius - dy * dy;
  return squared < 1 ? 0 : Math.floor((Math.floor(Math.sqrt(squared)) + 1) / 2);
}
