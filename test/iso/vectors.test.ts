/** ISOs against upstream's, by meaning: addresses and sizes are ours, because we store content once. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Architecture } from '../../src/boot/architecture.ts';
import { isoIdentifier, isoMarker } from '../../src/boot/grub-image.ts';
import { buildUki } from '../../src/boot/uki.ts';
import { type Bytes, ofMemory, ofSource, slice } from '../../src/bytes/bytes.ts';
import { equals, read } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, type Gpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { decodeIso9660, type IsoImage, type IsoVolume } from '../../src/formats/iso9660/decode.ts';
import { decodeMbr } from '../../src/formats/mbr/mbr.ts';
import { buildIso, type IsoParts } from '../../src/iso/build.ts';
import { type IsoGenerator, isoGenerator } from '../../src/iso/generator.ts';
import type { Bootloader } from '../../src/profiles/profile.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { EMPTY_TREE, type Tree, treeOfLiterals } from '../../src/tree/tree.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { type UpstreamRun, vectorFile, vectorLines } from '../support/vectors.ts';

interface VectorFile {
  readonly path: string;
  readonly iso?: string;
  readonly size?: number;
  readonly mode?: string;
  readonly nlink?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sha256?: string;
  readonly dir?: boolean;
  readonly text?: string;
  readonly folded?: boolean;
  readonly listSha256?: string;
}

interface Case extends UpstreamRun {
  readonly cmdline: string;
  readonly iso?: {
    readonly size: number;
    readonly mbr: {
      readonly bootCodeZero: boolean;
      readonly entries: readonly { readonly type: string; readonly start: number; readonly count: number }[];
    };
    readonly gpt?: {
      readonly diskGuid: string;
      readonly firstUsable: number;
      readonly entryCount: number;
      readonly entries: readonly {
        readonly type: string;
        readonly guid: string;
        readonly name: string;
        readonly attributes: string;
      }[];
    };
    readonly iso9660: {
      readonly volumeDescriptors: readonly Readonly<Record<string, string | number>>[];
      readonly secondPVD: Readonly<Record<string, string | number>> | null;
      readonly bootCatalog: {
        readonly entries: readonly Readonly<Record<string, Record<string, unknown> | unknown>>[];
      };
      readonly rootRecord: { readonly mode: string };
      readonly files: readonly VectorFile[];
    };
    readonly efiFat: {
      readonly label: string;
      readonly serial: string;
      readonly entries: readonly {
        readonly path: string;
        readonly attr: string;
        readonly dir?: boolean;
        readonly sha256?: string;
      }[];
    };
  };
}

interface Profile {
  readonly arch: Architecture;
  readonly version?: string;
  readonly input: Readonly<Record<'kernel' | 'initramfs' | 'sdStub' | 'sdBoot', { readonly path: string }>> & {
    readonly imageCache?: { readonly ociPath: string };
  };
  readonly output: { readonly isoOptions?: { readonly bootloader?: Bootloader } };
}

const CASES = vectorLines<Case>('images/iso.jsonl.gz');
const RECIPES = JSON.parse(vectorFile('uki/inputs.json').toString()) as Record<
  string,
  { size: number; sha256: string }
>;
const MODULE_NAMES = JSON.parse(vectorFile('images/grub-module-names.json.gz').toString()) as Record<string, string[]>;

/** Digests of contents whose bytes are never looked at. */
const digests = new Map<string, string>();

/** Content of which only the size is there: laying out an ISO must not read it. */
function unread(name: string, size: number, sha256: string): Bytes {
  digests.set(name, sha256);
  const read = (): Promise<void> => Promise.reject(new Error(`${name} was read`));
  return ofSource({ key: name, label: name, size, read });
}

function inputOf(profile: Profile, name: 'kernel' | 'initramfs' | 'sdBoot'): Bytes {
  const input = profile.input[name].path.replace('/syn/', '');
  const { size, sha256 } = RECIPES[input]!;
  return unread(input, size, sha256);
}

/** The digest of contents that are whole sources, or in memory. */
async function digestOf(content: Bytes): Promise<string> {
  const [only] = content.extents;
  if (only?.kind === 'range' && content.extents.length === 1 && only.length === only.source.size) {
    return digests.get(only.source.key)!;
  }
  return sha256(await read(content));
}

function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** A platform directory with the names of upstream's, and some that must stay behind. */
function platformFiles(names: readonly string[], platform: string): Tree {
  const others = ['kernel.img', 'boot.img', 'config.h', 'fdt.lst', 'monolithic/grub.efi'];
  return treeOfLiterals(Object.fromEntries([...names, ...others].map((name) => [name, `${platform} ${name}`])));
}

function namesIn(one: Case, platform: string): string[] {
  const folded = one.iso?.iso9660.files.find(({ path }) => path === `/boot/grub/${platform}/*`);
  return folded === undefined ? [] : MODULE_NAMES[folded.listSha256!]!;
}

function imageCache(one: Case, ociPath: string): Tree {
  const empty = sha256('{}');
  const big = one.iso!.iso9660.files.find(({ path }) => path.endsWith('sha256-big'))!;
  const tree = treeOfLiterals({
    [`blob/sha256-${sha256('blob1')}`]: 'blob1',
    'blob/sha256-big': unread(`cache ${big.size}`, big.size!, big.sha256!),
    'manifests/docker.io/library/x/reference/latest': '{}',
    [`manifests/docker.io/library/x/digest/sha256-${empty}`]: '{}',
    'manifests/host_5000_/A Long Name.With.Dots': '',
  });
  if (ociPath === '/oci/cache') return tree;
  const entries = tree.entries.map((entry) => {
    if (entry.path.endsWith('/digest')) return { ...entry, mode: 0o700 };
    return entry.path.includes('/digest/') ? { ...entry, mode: 0o600 } : entry;
  });
  return { entries, byPath: new Map(entries.map((entry) => [entry.path, entry])) };
}

interface Built {
  readonly profile: Profile;
  readonly generator: IsoGenerator;
  readonly bytes: Bytes;
  readonly epoch: number;
  readonly kernel: Bytes;
  readonly initramfs: Bytes;
}

const EL_TORITO = new Uint8Array(50301).map((_, index) => index * 7);
const HYBRID_BOOT = new Uint8Array(512).fill(0x90);

function buildCase(one: Case): Built {
  const profile = parse(one.profile) as Profile;
  const version = profile.version ?? `v${one.imager}`;
  const architecture = profile.arch;
  const epoch = Number(one.sourceDateEpoch);
  const traits = traitsOf(version);
  const { bootloader } = profile.output.isoOptions ?? {};
  const generator = isoGenerator({ architecture, secureBoot: false, bootloader, traits });
  const { ociPath } = profile.input.imageCache ?? {};
  const options = {
    version,
    architecture,
    traits,
    epoch,
    ...(ociPath === undefined ? {} : { imageCache: imageCache(one, ociPath) }),
  };
  const kernel = inputOf(profile, 'kernel');
  const initramfs = inputOf(profile, 'initramfs');
  const kernelParts = { kernel, initramfs, cmdline: one.cmdline, font: ofMemory(new Uint8Array(1000).fill(1)) };
  const bios = {
    files: platformFiles(namesIn(one, 'i386-pc'), 'i386-pc'),
    elTorito: EL_TORITO,
    hybridBoot: HYBRID_BOOT,
  };
  const efi = (['x86_64-efi', 'arm64-efi'] as const).map((platform) => ({
    platform,
    files: generator === 'grub' ? platformFiles(namesIn(one, platform), platform) : EMPTY_TREE,
    core: new Uint8Array(270336).fill(platform.length),
  }));
  const systemd = () => ({
    loader: inputOf(profile, 'sdBoot'),
    uki: buildUki(
      {
        stub: syntheticInput(profile.input.sdStub.path.replace('/syn/', '')),
        architecture,
        osRelease: 'ID=talos\n',
        cmdline: one.cmdline,
        kernelVersion: undefined,
        kernel,
        initramfs,
        traits,
      },
      { timestamp: epoch, sharingAlignment: 65536 },
    ),
  });
  const parts: IsoParts =
    generator === 'grub'
      ? { generator, ...kernelParts, bios, efi }
      : generator === 'uefi'
        ? { generator, systemd: systemd() }
        : { generator, ...kernelParts, systemd: systemd(), bios };
  return { profile, generator, bytes: buildIso(parts, options), epoch, kernel, initramfs };
}

/** What upstream accepts and we refuse, saying so. */
function isRefused(one: Case): boolean {
  const profile = parse(one.profile) as Profile;
  const { bootloader } = profile.output.isoOptions ?? {};
  const chosen = traitsOf(profile.version ?? one.imager).isoBootloaderIsChosen;
  return chosen && (bootloader === 'none' || (bootloader === 'dual-boot' && profile.arch === 'arm64'));
}

const GENERATOR_IN = (iso: NonNullable<Case['iso']>): IsoGenerator =>
  iso.gpt === undefined ? 'uefi' : iso.iso9660.secondPVD == null ? 'grub' : 'hybrid';

/** Files for Macs, and what has our own bytes or GRUB's of another build. */
function isOfAMac(path: string): boolean {
  return path === '/mach_kernel' || path === '/System' || path.startsWith('/System/');
}
const OWN_BYTES =
  /^\/(EFI\/Linux\/.*|boot\.catalog|efi\.img|efi\/boot\/boot(x64|aa64)\.efi|boot\/grub\/(fonts\/unicode\.pf2|i386-pc\/eltorito\.img))$/;

for (const one of CASES) {
  const { iso } = one;
  if (iso === undefined || isRefused(one)) {
    test(`${one.id} is refused`, () => {
      assert.throws(() => buildCase(one), ImagerError);
    });
    continue;
  }
  test(one.id, async () => {
    const built = buildCase(one);
    assert.equal(built.generator, GENERATOR_IN(iso));
    const image = await decodeIso9660(built.bytes);
    compareDescriptors(one, built, image);
    await compareFiles(one, built, image);
    await comparePartitions(one, built, image);
    await compareBoot(one, built, image);
    await compareEfiTree(one, built, image);
  });
}

function compareDescriptors(
  one: Case,
  { bytes, epoch }: Built,
  { descriptor, partitionView, extension, tree }: IsoImage,
): void {
  const { volumeDescriptors, secondPVD, rootRecord } = one.iso!.iso9660;
  const primary = volumeDescriptors[0]!;
  const time = new Date(epoch * 1000).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  assert.equal(descriptor.volumeId, primary.volume);
  assert.equal(descriptor.volumeSetId, primary.volumeSet);
  assert.equal(descriptor.systemId, primary.system);
  assert.equal(descriptor.publisherId, primary.publisher);
  assert.equal(descriptor.applicationId, primary.application);
  assert.equal(descriptor.created, `${time}00`);
  assert.equal(descriptor.modified, `${time}00`);
  if (epoch !== 0) assert.equal(`${descriptor.created}+0`, primary.created);
  assert.equal(descriptor.blocks * 2048, bytes.size);
  assert.equal(extension, 'RRIP_1991A');
  assert.equal(`0o${(0o40000 | tree.entries[0]!.mode).toString(8)}`, rootRecord.mode);
  const hasView = GENERATOR_IN(one.iso!) !== 'grub';
  assert.equal(partitionView !== undefined, hasView);
  if (partitionView === undefined) return;
  assert.equal(partitionView.descriptor.volumeId, primary.volume);
  assert.equal(partitionView.descriptor.volumeSetId, primary.volumeSet);
  if (secondPVD != null) assert.equal(secondPVD.volume, primary.volume);
}

async function compareFiles(one: Case, built: Built, image: IsoImage): Promise<void> {
  const wanted = one
    .iso!.iso9660.files.filter(({ path, folded }) => folded !== true && !isOfAMac(path))
    .filter(({ path }) => !(one.imager === '1.13.9' && path === '/loader/random-seed'));
  const found = [];
  const expected = [];
  for (const file of wanted) {
    const isMarker = file.path.startsWith('/.disk/');
    const path = isMarker ? isoMarker(isoIdentifier(built.epoch)) : file.path.slice(1);
    const entry = image.tree.byPath.get(path);
    assert.ok(entry, `${file.path} is missing`);
    const type = entry.kind === 'directory' ? 0o40000 : 0o100000;
    // The font is executable on the machine the vectors come from.
    const mode = path.endsWith('unicode.pf2') ? '0o100444' : file.mode;
    const hasOwnBytes = OWN_BYTES.test(file.path);
    expected.push({
      path,
      identifier: isMarker ? image.identifiers.get(path) : file.iso,
      mode,
      owner: [file.uid, file.gid],
      mtime: built.epoch,
      sha256: hasOwnBytes ? undefined : file.sha256,
    });
    found.push({
      path,
      identifier: image.identifiers.get(path),
      mode: `0o${(type | entry.mode).toString(8)}`,
      owner: [entry.uid, entry.gid],
      mtime: entry.mtime,
      sha256: hasOwnBytes || entry.kind !== 'file' ? undefined : await digestOf(entry.content),
    });
  }
  assert.deepEqual(found, expected);
  // Nothing else is there, but for the modules and the random seed, which 1.13 has not.
  const listed = new Set(['', ...found.map(({ path }) => path), 'loader/random-seed']);
  const modules = (platform: string): string[] => namesIn(one, platform).map((name) => `boot/grub/${platform}/${name}`);
  const folded = ['i386-pc', 'x86_64-efi', 'arm64-efi'].flatMap(modules);
  for (const path of folded) listed.add(path);
  const directories = new Set(['boot/grub/x86_64-efi', 'boot/grub/arm64-efi']);
  assert.deepEqual(
    [...image.tree.byPath.keys()].filter((path) => !listed.has(path) && !directories.has(path)),
    [],
  );
  assert.deepEqual(
    folded.filter((path) => image.tree.byPath.get(path)?.kind !== 'file'),
    [],
  );
}

async function comparePartitions(one: Case, { bytes, generator, epoch }: Built, image: IsoImage): Promise<void> {
  const { mbr: wantedMbr, gpt: wantedGpt } = one.iso!;
  const mbr = decodeMbr(await read(bytes, 0, 512));
  assert.equal(
    mbr.bootCode.every((byte) => byte === 0),
    wantedMbr.bootCodeZero,
  );
  assert.deepEqual(
    [...mbr.partitions.values()].map(({ type, start }) => [`0x${type.toString(16)}`, start]),
    wantedMbr.entries.map(({ type, start }, index) => [type, index === 0 ? start : mbr.partitions.get(1)!.start]),
  );
  if (wantedGpt === undefined) {
    const [volume, esp] = [mbr.partitions.get(0)!, mbr.partitions.get(1)!];
    assert.equal(volume.start + volume.count, esp.start);
    assert.equal(image.partitionView!.descriptor.blocks * 4, volume.count);
    assert.equal((esp.start + esp.count) * 512 + 307200, bytes.size);
    return;
  }
  const gpt = await decodeGpt(bytes);
  const found = [...gpt.partitions.values()].map(partitionRole);
  const wanted = wantedGpt.entries
    .map((entry) => ({ ...entry, attributes: BigInt(entry.attributes) }))
    .map(partitionRole);
  // What upstream calls HFSPLUS is the part behind the EFI image, a gap like the others without HFS+.
  const roles = generator === 'grub' ? wanted.filter(({ name }) => name !== 'HFSPLUS') : wanted;
  assert.deepEqual(
    found.map(({ guid, ...rest }) => rest),
    roles.map(({ guid, ...rest }) => rest),
  );
  if (epoch !== 0) {
    assert.equal(gpt.header.diskGuid, wantedGpt.diskGuid);
    assert.deepEqual(
      found.map(({ guid }) => guid),
      wanted.slice(0, found.length).map(({ guid }) => guid),
    );
  }
  assert.equal(gpt.header.firstUsable, wantedGpt.firstUsable);
  if (generator === 'hybrid') {
    assert.equal(gpt.header.entryCount, wantedGpt.entryCount);
    const [volume, esp] = [gpt.partitions.get(1)!, gpt.partitions.get(2)!];
    assert.equal(volume.lastLba + 1, esp.firstLba);
    assert.equal(image.partitionView!.descriptor.blocks * 4, volume.lastLba + 1 - volume.firstLba);
  }
}

interface Role {
  readonly type: string;
  readonly name: string;
  readonly attributes: bigint;
  readonly guid: string;
}

function partitionRole({ type, name, attributes, guid }: Role): Role {
  return { type, name, attributes, guid };
}

async function compareBoot(one: Case, { bytes, generator }: Built, image: IsoImage): Promise<void> {
  const { boot } = image;
  const wanted = one.iso!.iso9660.bootCatalog.entries;
  const platforms = wanted.flatMap((entry) =>
    ['validation', 'section'].flatMap((name) =>
      entry[name] === undefined ? [] : [(entry[name] as { platform: string }).platform],
    ),
  );
  assert.deepEqual(
    boot?.images.map(({ platform }) => `0x${platform.toString(16)}`),
    platforms,
  );
  assert.equal(boot?.catalogBlock, image.files.get('boot.catalog')![0]!.offset / 2048);
  const start = await espStart(bytes, generator, image);
  const espBlock = start / 2048;
  if (generator === 'uefi') {
    assert.deepEqual(boot?.images, [{ platform: 0xef, sectors: 0, block: espBlock }]);
    return;
  }
  const elTorito = image.files.get('boot/grub/i386-pc/eltorito.img')![0]!;
  const block = elTorito.offset / 2048;
  assert.deepEqual(boot?.images, [
    { platform: 0, sectors: 4, block },
    { platform: 0xef, sectors: generator === 'grub' ? 5760 : 0, block: espBlock },
  ]);
  // Boot info table: volume descriptor, own block, length, sum; and the sector of what diskboot.img loads.
  const patched = Buffer.from(await read(bytes, elTorito.offset, elTorito.size));
  assert.deepEqual(
    [patched.readUInt32LE(8), patched.readUInt32LE(12), patched.readUInt32LE(16)],
    [16, block, EL_TORITO.length],
  );
  assert.equal(patched.readBigUInt64LE(0x9f4), BigInt(4 * block + 5));
  const padded = Buffer.concat([patched, Buffer.alloc(3)]);
  let sum = 0;
  for (let at = 64; at < patched.length; at += 4) sum = (sum + padded.readUInt32LE(at)) >>> 0;
  assert.equal(patched.readUInt32LE(20), sum);
  assert.equal(Buffer.from(await read(bytes, 0x1b0, 8)).readBigUInt64LE(), BigInt(4 * block + 4));
}

/** Bytes from the start of the image. */
async function espStart(bytes: Bytes, generator: IsoGenerator, image: IsoImage): Promise<number> {
  if (generator === 'grub') return image.files.get('efi.img')![0]!.offset;
  if (generator === 'uefi') return decodeMbr(await read(bytes, 0, 512)).partitions.get(1)!.start * 512;
  const gpt: Gpt = await decodeGpt(bytes);
  return partitionRange(gpt, gpt.partitions.get(2)!).offset;
}

async function compareEfiTree(one: Case, built: Built, image: IsoImage): Promise<void> {
  const { bytes, generator, kernel, initramfs } = built;
  const { efiFat } = one.iso!;
  const start = await espStart(bytes, generator, image);
  const fat = await decodeFat(slice(bytes, start));
  assert.equal(fat.bootSector.label, efiFat.label.trimEnd());
  const wanted = efiFat.entries
    .filter(({ path, attr }) => attr !== '0x8' && !(one.imager === '1.13.9' && path === '/loader/random-seed'))
    .map(({ path, dir }) => [path.slice(1), dir === true ? 'directory' : 'file']);
  const found = fat.tree.entries.filter(({ path }) => path !== '').map(({ path, kind }) => [path, kind]);
  const has1_14 = found.filter(([path]) => !(one.imager === '1.13.9' && path === 'loader/random-seed'));
  assert.deepEqual(has1_14.sort(), wanted.sort());
  if (generator === 'grub') return;
  // Every file is in both trees with the same content, and what is large is in the image once.
  for (const entry of fat.tree.entries) {
    if (entry.kind !== 'file') continue;
    const twin = image.tree.byPath.get(entry.path);
    assert.ok(twin?.kind === 'file' && (await equals(twin.content, entry.content)), entry.path);
    const place = image.files.get(entry.path)![0]!.offset;
    assert.equal(place >= start, entry.content.size >= 65536, entry.path);
    assert.equal(isListed(image.partitionView!, entry.path), place < start, entry.path);
  }
  if (generator === 'uefi') return;
  for (const [path, content] of [
    ['boot/vmlinuz', kernel],
    ['boot/initramfs.xz', initramfs],
  ] as const) {
    const entry = image.tree.byPath.get(path);
    assert.ok(entry?.kind === 'file' && (await equals(entry.content, content)), path);
    assert.equal(isListed(image.partitionView!, path), image.files.get(path)![0]!.offset < start, path);
  }
  const stored = bytes.extents.reduce((sum, extent) => sum + (extent.kind === 'range' ? extent.length : 0), 0);
  const [loader] = image.files.get(`EFI/BOOT/BOOT${built.profile.arch === 'amd64' ? 'X64' : 'AA64'}.EFI`)!;
  const cache = [...image.files]
    .filter(([path]) => path.endsWith('sha256-big'))
    .reduce((sum, [, [range]]) => sum + range!.size, 0);
  assert.equal(stored, kernel.size + initramfs.size + cache + 2 * loader!.size);
}

function isListed(view: IsoVolume, path: string): boolean {
  return view.tree.byPath.has(path);
}
