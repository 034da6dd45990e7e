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

/** Radii in samples from the centre of the picture. */
const DOT_RADIUS = 72;
const RING = { inner: 248, outer: 320 } as const;

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
  const quarter = drawQuarter();
  const mirrored = (at: number): number => Math.min(at, SIDE - 1 - at);
  const shade = (x: number, y: number): number => quarter[mirrored(y) * HALF + mirrored(x)]!;
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x += 2) {
      data[PIXELS_START + (y * SIDE + x) / 2] = (shade(x, y) << 4) | shade(x + 1, y);
    }
  }
  return data;
}

/** Shades of the lower left quarter, row by row: the other three are its mirror images, and drawing takes a tenth of a build. */
function drawQuarter(): Uint8Array {
  const shades = new Uint8Array(HALF * HALF);
  for (let y = 0; y < HALF; y++) {
    for (let x = 0; x < HALF; x++) shades[y * HALF + x] = shadeAt(x, y);
  }
  return shades;
}

/** How many of the samples of a pixel are covered, as a shade. */
function shadeAt(x: number, y: number): number {
  let covered = 0;
  for (let sample = 0; sample < SAMPLES * SAMPLES; sample++) {
    // Twice the distance to the centre, so that sample centres are whole numbers.
    const dx = 2 * (x * SAMPLES + (sample % SAMPLES)) + 1 - SIDE * SAMPLES;
    const dy = 2 * (y * SAMPLES + Math.floor(sample / SAMPLES)) + 1 - SIDE * SAMPLES;
    if (isCovered(dx * dx + dy * dy)) covered++;
  }
  return Math.min(SHADES - 1, covered);
}

function isCovered(squaredDiameter: number): boolean {
  const within = (radius: number): boolean => squaredDiameter <= 4 * radius * radius;
  return within(DOT_RADIUS) || (within(RING.outer) && !within(RING.inner));
}
