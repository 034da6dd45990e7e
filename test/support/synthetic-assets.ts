/**
 * Images in the form of an imager image whose kernel and initramfs are noise of any size behind right headers: they pass every check, cost
 * no download and boot nowhere. GRUB's own modules come from this machine, where it has them.
 */
import { createCipheriv, createHash, type Hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import { type Bytes, concat, ofMemory, ofSource, ofText, type Placement, patch } from '../../src/bytes/bytes.ts';
import { chunks } from '../../src/bytes/read.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import type { Source } from '../../src/platform/types.ts';
import { type Literal, treeOfLiterals } from '../../src/tree/tree.ts';
import { describe, digestOf, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, type TestImage } from './image.ts';
import { vectorFile } from './vectors.ts';

export type SyntheticArchitecture = 'amd64' | 'arm64';
export type LayerCompression = 'none' | 'gzip' | 'zstd';

export interface SyntheticOptions {
  /** Bytes, default 2 MiB. */
  readonly kernelSize?: number;
  /** Bytes, default 6 MiB. */
  readonly initramfsSize?: number;
  /** Default both. Every image of the index holds the files of all, as upstream's do, so images share their layers. */
  readonly architectures?: readonly SyntheticArchitecture[];
  /** Default the BIOS one. Those this machine lacks are left out. */
  readonly grubPlatforms?: readonly string[];
  /** Default gzip, as registries mostly have it. */
  readonly compression?: LayerCompression;
  /** All files in one layer; else kernels and loaders in one, GRUB in another. */
  readonly oneLayer?: boolean;
  /** Reference name in the layout, default `v1.13.0`. */
  readonly tag?: string;
}

export interface SyntheticAssets {
  readonly directory: string;
  readonly tag: string;
  /** For `--imager-image`. */
  readonly source: string;
  /** Config and layers, each once. */
  readonly blobs: readonly { readonly digest: string; readonly size: number; readonly path: string }[];
}

const MIB = 2 ** 20;
const SYNTHETIC_TAG = 'v1.13.0';
const GRUB = '/usr/lib/grub';
const FONT = '/usr/share/grub/unicode.pf2';

/** The architecture whose default ISO can be built of what is here: without GRUB for BIOS only arm64 is left. */
export function buildableArchitecture(): SyntheticArchitecture {
  return existsSync(join(GRUB, 'i386-pc', 'moddep.lst')) ? 'amd64' : 'arm64';
}

/** Writes an OCI image layout to `directory`. Memory does not grow with the sizes. */
export async function writeSyntheticAssets(
  directory: string,
  options: SyntheticOptions = {},
): Promise<SyntheticAssets> {
  const { compression = 'gzip', tag = SYNTHETIC_TAG, architectures = ['amd64', 'arm64'] } = options;
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
  const files = syntheticFiles(options);
  const isGrub = ([path]: readonly [string, unknown]): boolean => path.includes('grub');
  const entries = Object.entries(files);
  const groups =
    options.oneLayer === true ? [entries] : [entries.filter((one) => !isGrub(one)), entries.filter(isGrub)];
  const layers: StoredLayer[] = [];
  for (const group of groups.filter(({ length }) => length > 0)) {
    layers.push(await writeLayer(directory, layoutTar(treeOfLiterals(Object.fromEntries(group))), compression));
  }
  const stored = new Map(layers.map(({ descriptor }) => [descriptor.digest, descriptor.size]));
  const manifests = [];
  for (const architecture of architectures) {
    const platform = { os: 'linux', architecture };
    const config = encode({
      ...platform,
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const manifest = encode({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe(config, OCI_CONFIG),
      layers: layers.map(({ descriptor }) => descriptor),
    });
    for (const data of [config, manifest]) await writeFile(blobFile(directory, digestOf(data)), data);
    stored.set(digestOf(config), config.length);
    manifests.push({ ...describe(manifest, OCI_MANIFEST), platform });
  }
  const index = encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  await writeFile(blobFile(directory, digestOf(index)), index);
  const named = { ...describe(index, OCI_INDEX), annotations: { 'org.opencontainers.image.ref.name': tag } };
  await writeFile(join(directory, 'oci-layout'), encode({ imageLayoutVersion: '1.0.0' }));
  await writeFile(
    join(directory, 'index.json'),
    encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [named] }),
  );
  const blobs = [...stored].map(([digest, size]) => ({ digest, size, path: blobFile(directory, digest) }));
  return { directory, tag, source: `oci:${directory}:${tag}`, blobs };
}

/** The files by path, relative to the root of the image. */
export function syntheticFiles(options: SyntheticOptions = {}): Record<string, Literal> {
  const { kernelSize = 2 * MIB, initramfsSize = 6 * MIB, architectures = ['amd64', 'arm64'] } = options;
  const files: Record<string, Literal> = {};
  for (const architecture of architectures) {
    const install = `usr/install/${architecture}`;
    files[`${install}/vmlinuz`] = syntheticKernel(architecture, kernelSize);
    // The magic of zstd: what looks at it finds something compressed, as the real one is.
    const zstdMagic = ofMemory(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd));
    const content = ofSource(noise(`${architecture} initramfs`, initramfsSize));
    files[`${install}/initramfs.xz`] = patch(content, [{ at: 0, bytes: zstdMagic }]);
    const suffix = architecture === 'amd64' ? 'a' : 'arm64';
    files[`${install}/systemd-stub.efi`] = new Uint8Array(vectorFile(`uki/synthetic/stub-${suffix}.efi`));
    files[`${install}/systemd-boot.efi`] = new Uint8Array(vectorFile(`uki/synthetic/boot-${suffix}.efi`));
  }
  return { ...files, ...grubFiles(options.grubPlatforms ?? ['i386-pc']) };
}

/** Noise with what boot loaders and firmware look for at its start. */
function syntheticKernel(architecture: SyntheticArchitecture, size: number): Bytes {
  const content = ofSource(noise(`${architecture} kernel`, size));
  if (architecture === 'arm64') {
    return patch(content, [...efiHeader(0x40, 0xaa64), { at: 0x38, bytes: ofText('ARM\x64') }]);
  }
  return patch(content, [
    ...efiHeader(0x80, 0x8664),
    { at: 0x1f1, bytes: ofMemory(Uint8Array.of(4)) },
    { at: 0x202, bytes: ofText('HdrS') },
    // Counted from 0x200: the text is at 0x500.
    { at: 0x20e, bytes: ofMemory(Uint8Array.of(0x00, 0x03)) },
    { at: 0x500, bytes: ofText('6.18.44-synthetic (test@test) #1 SMP\0') },
  ]);
}

/** As much of a PE as tells that there is an EFI stub: where it begins, and for which machine it is. */
function efiHeader(start: number, machine: number): Placement[] {
  const words = (...values: number[]): Bytes => ofMemory(new Uint8Array(Uint16Array.from(values).buffer));
  return [
    { at: 0, bytes: ofText('MZ') },
    { at: 0x3c, bytes: words(start, 0) },
    { at: start, bytes: concat([ofText('PE\0\0'), words(machine)]) },
  ];
}

function grubFiles(platforms: readonly string[]): Record<string, Literal> {
  const files: Record<string, Literal> = {};
  for (const platform of platforms) {
    const directory = join(GRUB, platform);
    if (!existsSync(join(directory, 'moddep.lst'))) continue;
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      if (/\.(mod|lst|img|o|sh)$/.test(name) && statSync(path).isFile()) files[path.slice(1)] = readFileSync(path);
    }
  }
  if (Object.keys(files).length > 0 && existsSync(FONT)) files[FONT.slice(1)] = readFileSync(FONT);
  return files;
}

/** Incompressible content that depends on its name alone, made where it is read: AES in counter mode over zeros. */
export function noise(name: string, size: number): Source {
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  return {
    key: `noise ${name} ${size}`,
    label: `noise ${name}`,
    size,
    async read(position, into) {
      const counter = Buffer.alloc(16);
      counter.writeBigUInt64BE(BigInt(Math.floor(position / 16)), 8);
      const skip = position % 16;
      const cipher = createCipheriv('aes-128-ctr', key, counter);
      into.set(cipher.update(Buffer.alloc(skip + into.length)).subarray(skip));
    },
  };
}

interface StoredLayer {
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
  readonly diffId: string;
}

async function writeLayer(directory: string, archive: Bytes, compression: LayerCompression): Promise<StoredLayer> {
  const partial = join(directory, 'blobs/partial');
  const file = await open(partial, 'w');
  const [plainHash, blobHash] = [createHash('sha256'), createHash('sha256')];
  let size = 0;
  try {
    for await (const chunk of compressed(hashing(chunks(archive), plainHash), compression)) {
      blobHash.update(chunk);
      size += chunk.length;
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  const digest = `sha256:${blobHash.digest('hex')}`;
  await rename(partial, blobFile(directory, digest));
  const mediaType = compression === 'none' ? OCI_LAYER : `${OCI_LAYER}+${compression}`;
  return { descriptor: { mediaType, digest, size }, diffId: `sha256:${plainHash.digest('hex')}` };
}

async function* hashing(input: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    hash.update(chunk);
    yield chunk;
  }
}

function compressed(input: AsyncIterable<Uint8Array>, compression: LayerCompression): AsyncIterable<Uint8Array> {
  if (compression === 'none') return input;
  const chunkSize = MIB;
  const encoder = compression === 'gzip' ? createGzip({ level: 1, chunkSize }) : createZstdCompress({ chunkSize });
  return Readable.from(input, { objectMode: true }).pipe(encoder);
}

function blobFile(directory: string, digest: string): string {
  return join(directory, 'blobs/sha256', digest.slice('sha256:'.length));
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A layout's image as a value, for a registry in this process. Small ones only: all its blobs come into memory. */
export async function imageOfLayout({
  directory,
  tag,
}: Pick<SyntheticAssets, 'directory' | 'tag'>): Promise<TestImage> {
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as Document;
  const named = index.manifests!.find(({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag);
  if (named === undefined) throw new Error(`${directory}: no image ${tag}`);
  return readImage(directory, named);
}

interface Reference {
  readonly mediaType: string;
  readonly digest: string;
  readonly platform?: NonNullable<TestImage['platform']>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Document {
  readonly manifests?: readonly Reference[];
  readonly config?: Reference;
  readonly layers?: readonly Reference[];
}

async function readImage(directory: string, { mediaType, digest, platform }: Reference): Promise<TestImage> {
  // No `Buffer`: its slices are views, and a registry that spoils a slice would spoil the image.
  const blob = async (digest: string): Promise<Uint8Array> =>
    new Uint8Array(await readFile(blobFile(directory, digest)));
  const manifest = await blob(digest);
  const { manifests = [], config, layers = [] } = JSON.parse(new TextDecoder().decode(manifest)) as Document;
  const content = config === undefined ? [] : [config, ...layers];
  return {
    mediaType,
    manifest,
    children: await Promise.all(manifests.map((child) => readImage(directory, child))),
    blobs: await Promise.all(content.map((one) => blob(one.digest))),
    ...(platform === undefined ? {} : { platform }),
  };
}
