/** The synthetic kernels, initramfs and stubs of the UKI vectors, made by their recipes. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stream } from './bytes.ts';
import { vectorFile } from './vectors.ts';

interface Recipe {
  readonly size: number;
  readonly sha256: string;
  /** Stored as it is. */
  readonly file?: string;
  readonly seed?: string;
  /** A synthetic PE kernel: stored head, stream, zeros to a multiple of 512, 512 letters D. */
  readonly head?: string;
  readonly streamSize?: number;
  /** An x86 boot header written over a stream. */
  readonly setupSectors?: number;
  readonly versionPointer?: number;
  readonly text?: string;
  readonly textAt?: number;
}

const recipes = JSON.parse(vectorFile('uki/inputs.json').toString()) as Record<string, Recipe>;
const made = new Map<string, Uint8Array>();
const streams = new Map<string, Uint8Array>();

export const INPUT_NAMES: readonly string[] = Object.keys(recipes);

/** The input `name` of the vectors; checked against its digest. */
export function syntheticInput(name: string): Uint8Array {
  const known = made.get(name);
  if (known !== undefined) return known;
  const recipe = recipes[name];
  assert.ok(recipe, `no recipe for ${name}`);
  const data = recipe.size < LARGE ? make(recipe) : (kept(recipe) ?? keep(recipe, make(recipe)));
  assert.equal(hash('sha256', data), recipe.sha256, name);
  made.set(name, data);
  return data;
}

/** Bytes; to make one takes seconds, so it is kept for the next run, by its digest. */
const LARGE = 8 << 20;
const KEPT = fileURLToPath(new URL('../../node_modules/.cache/inputs', import.meta.url));

function kept({ sha256 }: Recipe): Uint8Array | undefined {
  const path = `${KEPT}/${sha256}`;
  const data = existsSync(path) ? readFileSync(path) : undefined;
  return data !== undefined && hash('sha256', data) === sha256 ? data : undefined;
}

function keep({ sha256 }: Recipe, data: Uint8Array): Uint8Array {
  mkdirSync(KEPT, { recursive: true });
  const temporary = `${KEPT}/${sha256}.${process.pid}`;
  writeFileSync(temporary, data);
  renameSync(temporary, `${KEPT}/${sha256}`);
  return data;
}

function make(recipe: Recipe): Uint8Array {
  if (recipe.file !== undefined) return vectorFile(`uki/${recipe.file}`);
  if (recipe.seed === undefined) return new Uint8Array(recipe.size);
  if (recipe.head !== undefined) {
    const content = Buffer.concat([vectorFile(`uki/${recipe.head}`), cachedStream(recipe.seed, recipe.streamSize!)]);
    const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
    return Buffer.concat([content, padding, Buffer.alloc(512, 'D')]);
  }
  const data = Buffer.from(cachedStream(recipe.seed, recipe.size));
  if (recipe.setupSectors === undefined) return data;
  data[0x1f1] = recipe.setupSectors;
  data.write('HdrS', 0x202, 'latin1');
  data.writeUInt16LE(recipe.versionPointer!, 0x20e);
  if (recipe.text !== undefined) data.write(recipe.text, recipe.textAt!, 'latin1');
  return data;
}

function cachedStream(seed: string, size: number): Uint8Array {
  const key = `${seed} ${size}`;
  const data = streams.get(key) ?? stream(seed, size);
  streams.set(key, data);
  return data;
}
