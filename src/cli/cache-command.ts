/** `imager cache create`: references from arguments, files and standard input, and the result told. */
import { resolve } from 'node:path';
import { ImagerError } from '../errors.ts';
import { parseAssetSource } from '../pipeline/asset-source.ts';
import { parseEpoch } from '../pipeline/epoch.ts';
import { type CacheTarget, type CreatedImageCache, createImageCache } from '../pipeline/image-cache-create.ts';
import { defaultStoreDirectory, type Workplace } from '../pipeline/workplace.ts';
import { ARCHITECTURES, type Architecture } from '../profiles/profile.ts';
import type { CacheFlags } from './cache-flags.ts';
import type { Io } from './io.ts';
import { chooseStyle, formatBytes, startProgress } from './progress.ts';
import { decodeText, readText } from './text-input.ts';
import { transportOf } from './transport-flags.ts';

/** Of a list of references: some ten thousand of them. */
const LIST_LIMIT = 1 << 20;

const DEFAULT_NAME = 'cache';

export async function runCache(flags: CacheFlags, io: Io): Promise<number> {
  const target = parseTarget(flags.target);
  const architectures = parseArchitectures(flags.arch ?? io.platform.architecture);
  const epoch = parseEpoch(io.platform.environment.SOURCE_DATE_EPOCH);
  const { signatures } = flags;
  const workplace = await workplaceOf(flags, io);
  const references = await readReferences(flags.images, io);
  const progress = await startProgress(chooseStyle(flags.progress, flags.quiet === true, io.stderr), io);
  try {
    const request = { references, architectures, target, signatures, epoch };
    const created = await createImageCache({ ...workplace, onProgress: progress.report }, request);
    progress.note(summary(created, flags.target));
    progress.finish();
    if (flags.json === true) io.stdout.write(`${JSON.stringify({ target, architectures, ...created }, null, 2)}\n`);
    return 0;
  } finally {
    progress.finish();
  }
}

function parseTarget(text: string): CacheTarget {
  if (!text.startsWith('oci:')) return { kind: 'directory', directory: text };
  const source = parseAssetSource(text);
  if (source.kind !== 'layout') throw new ImagerError('usage', `cache create: ${text}: want DIR or oci:DIR`);
  return { kind: 'layout', directory: resolve(source.directory), name: source.name ?? DEFAULT_NAME };
}

function parseArchitectures(text: string): Architecture[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.map((name) => ARCHITECTURES.find((one) => one === name));
  if (known.every((one) => one !== undefined) && new Set(known).size === known.length) return known;
  throw new ImagerError('usage', `flag --arch "${text}": want amd64, arm64 or amd64,arm64`);
}

async function workplaceOf(flags: CacheFlags, { platform, signal }: Io): Promise<Workplace> {
  const transport = await transportOf(flags, platform);
  return { platform, store: defaultStoreDirectory(platform), transport, signal };
}

/** In order, each once. */
async function readReferences(images: readonly string[], io: Io): Promise<string[]> {
  if (images.filter((image) => image === '-').length > 1) {
    throw new ImagerError('usage', 'cache create: standard input can be one list only');
  }
  const references: string[] = [];
  for (const image of images) {
    if (image === '-') references.push(...linesOf(await readStandardInput(io)));
    else if (image.startsWith('@')) references.push(...linesOf(await readFile(image.slice(1), io)));
    else references.push(image);
  }
  return [...new Set(references)];
}

function readStandardInput({ stdin, stdinIsTTY }: Io): Promise<string> {
  if (stdinIsTTY) {
    throw new ImagerError('usage', 'cache create -: standard input is a terminal, want a list of references', {
      hint: 'talosctl image default | imager cache create - DIR',
    });
  }
  return readText(stdin, LIST_LIMIT, 'standard input');
}

async function readFile(path: string, { platform }: Io): Promise<string> {
  return decodeText(await platform.files.read(path, LIST_LIMIT), path);
}

function linesOf(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

function summary({ images, blobs, size }: CreatedImageCache, target: string): string {
  const signed = images.filter((image) => image.signed === true).length;
  const signatures = signed === 0 ? '' : `, ${signed} of them signed`;
  return `${images.length} image${images.length === 1 ? '' : 's'}${signatures}, ${blobs} blobs, ${formatBytes(size)} in ${target}`;
}
