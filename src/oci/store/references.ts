/**
 * What a store has under which name: one small file per image, replaced whole. `index.json`, which other programs read, is made from
 * them and can be made again at any time.
 */
import { type Digest, hexOf, parseDigest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Platform as Machine } from '../../platform/types.ts';
import { digestOf, type Hasher } from '../digest-check.ts';
import type { Platform } from '../image-source.ts';
import { OCI_INDEX } from '../media-types.ts';
import { platformText } from '../platform-choice.ts';
import { replaceFile, type StorePaths } from './files.ts';

/** One image of the store: what was asked for, and the manifest that answered it. */
export interface Reference {
  /** As the user wrote it; absent for images asked for by digest alone. */
  readonly name?: string;
  /** Of what the name stands for, an index or the manifest itself. */
  readonly digest: Digest;
  readonly platform: Platform;
  readonly manifestDigest: Digest;
  readonly mediaType: string;
  /** Of the manifest, bytes. */
  readonly size: number;
}

/** Of a reference file, bytes. */
const REFERENCE_LIMIT = 64 * 1024;

/** Turns after which two writers of `index.json` that never agree are left alone: the next pull writes it again. */
const MAX_TURNS = 20;

/** One file per name (or digest) and platform. */
export function referencePath(hasher: Hasher, paths: StorePaths, key: ReferenceKey): string {
  const { name, digest, platform } = key;
  const text = JSON.stringify([name ?? digest, platformText(platform)]);
  return `${paths.references}/${hexOf(digestOf(hasher, new TextEncoder().encode(text)))}.json`;
}

export type ReferenceKey = Pick<Reference, 'platform'> &
  ({ readonly name: string; readonly digest?: Digest } | { readonly name?: undefined; readonly digest: Digest });

/** `undefined` when there is none, or none that can be read: it is then as if the image had never been pulled. */
export async function readReference({ files }: Machine, path: string): Promise<Reference | undefined> {
  let data: Uint8Array;
  try {
    data = await files.read(path, REFERENCE_LIMIT);
  } catch {
    return undefined;
  }
  try {
    return parseReference(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return undefined;
  }
}

function parseReference(value: unknown): Reference {
  const { name, digest, platform, manifestDigest, mediaType, size } = value as Record<string, unknown>;
  const { os, architecture, variant } = platform as Record<string, unknown>;
  return {
    ...(name === undefined ? {} : { name: String(name) }),
    digest: parseDigest(String(digest)),
    platform: {
      os: String(os),
      architecture: String(architecture),
      ...(variant === undefined ? {} : { variant: String(variant) }),
    },
    manifestDigest: parseDigest(String(manifestDigest)),
    mediaType: String(mediaType),
    size: Number(size),
  };
}

/** Records an image, or that it was used; `index.json` follows when something is new. Throws `io`. */
export async function writeReference(machine: Machine, paths: StorePaths, reference: Reference): Promise<void> {
  const path = referencePath(machine, paths, reference);
  const text = encodeReference(reference);
  const known = await readReference(machine, path);
  if (known !== undefined && encodeReference(known) === text) {
    await markUse(machine, path);
    return;
  }
  await replaceFile(machine.files, paths, path, new TextEncoder().encode(text));
  await writeIndex(machine, paths);
}

/** The same text for the same reference, whatever the order its members were given in. */
function encodeReference({ name, digest, platform, manifestDigest, mediaType, size }: Reference): string {
  const { os, architecture, variant } = platform;
  return JSON.stringify(
    { name, digest, platform: { os, architecture, variant }, manifestDigest, mediaType, size },
    null,
    1,
  );
}

/** The time of a file says when it was used last. A store we may only read stays as it is. */
export async function markUse({ files }: Machine, path: string): Promise<boolean> {
  try {
    await files.touch(path);
    return true;
  } catch (error) {
    if (error instanceof ImagerError && error.code === 'io') return false;
    throw error;
  }
}

export async function listReferences(
  machine: Machine,
  paths: StorePaths,
): Promise<{ readonly path: string; readonly reference: Reference | undefined }[]> {
  const names = (await machine.files.list(paths.references)).filter((name) => name.endsWith('.json'));
  return Promise.all(
    names.map(async (name) => {
      const path = `${paths.references}/${name}`;
      return { path, reference: await readReference(machine, path) };
    }),
  );
}

/**
 * Makes `index.json` from the references. Another process may do so at the same time with what it saw: after writing we look again, and
 * whoever sees a difference writes again, so the last one to write has seen everything. Throws `io`.
 */
export async function writeIndex(machine: Machine, paths: StorePaths): Promise<void> {
  let written: string | undefined;
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const text = await indexText(machine, paths);
    const found = written === undefined ? undefined : await currentIndex(machine, paths);
    if (text === written && text === found) return;
    await replaceFile(machine.files, paths, paths.index, new TextEncoder().encode(text));
    written = text;
  }
}

/** What `index.json` has to be now. */
export async function indexText(machine: Machine, paths: StorePaths): Promise<string> {
  const references = await listReferences(machine, paths);
  const manifests = references
    .map(({ reference }) => reference)
    .filter((reference) => reference !== undefined)
    .map(({ name, manifestDigest, mediaType, size, platform }) => ({
      mediaType,
      digest: manifestDigest,
      size,
      platform,
      ...(name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': name } }),
    }));
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, null, 1);
}

async function currentIndex({ files }: Machine, paths: StorePaths): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await files.read(paths.index, 2 ** 28));
  } catch {
    return undefined;
  }
}

/** Whether `index.json` is there, readable and not older than the references: a killed process may have left it so. */
export async function isIndexCurrent(machine: Machine, paths: StorePaths): Promise<boolean> {
  const [index, references] = await Promise.all([
    machine.files.info(paths.index),
    machine.files.info(paths.references),
  ]);
  if (index === undefined || references === undefined || index.mtime < references.mtime) return false;
  try {
    const document = JSON.parse((await currentIndex(machine, paths)) ?? '') as { manifests?: unknown };
    return Array.isArray(document?.manifests);
  } catch {
    return false;
  }
}
