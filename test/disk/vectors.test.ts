/** Disk images against upstream's, by meaning: where content lies within file systems is ours. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { buildUki } from '../../src/boot/uki.ts';
import { isZero } from '../../src/bytes/blocks.ts';
import { type Bytes, ofSource, slice } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { diskBootloader } from '../../src/disk/bootloader.ts';
import { buildDisk } from '../../src/disk/build.ts';
import type { DiskParts } from '../../src/disk/parts.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, type Gpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { decodeHeader, type GptHeader } from '../../src/formats/gpt/header.ts';
import { encodeDiskBoot } from '../../src/formats/grub/block-list.ts';
import { decodeMbr } from '../../src/formats/mbr/mbr.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import { decodeMetaPartition } from '../../src/meta/partition.ts';
import { diskChoice } from '../../src/pipeline/asset-places.ts';
import { checkDisk, diskDimensions } from '../../src/pipeline/disk-plan.ts';
import { outputFileName } from '../../src/profiles/output-name.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import { type FinalProfile, finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { stream } from '../support/bytes.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { type UpstreamFile, type UpstreamRun, vectorFile, vectorLines } from '../support/vectors.ts';

interface VectorFile extends UpstreamFile {
  readonly text?: string;
}

interface FatEntry {
  readonly path: string;
  readonly attr: string;
  readonly modified: string;
  readonly sha256?: string;
}

interface VectorHeader {
  readonly myLBA: number;
  readonly alternateLBA: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly diskGuid: string;
  readonly entriesLBA: number;
  readonly entryCount: number;
  readonly entrySize: number;
}

interface VectorPartition {
  readonly name: string;
  readonly fat?: Readonly<Record<string, number | string>> & { readonly entries: readonly FatEntry[] };
  readonly zero?: boolean;
  readonly nonZeroLength?: number;
  readonly u64_at_0x1f4?: number;
  readonly u16_at_0x1fc?: number;
  readonly rootMode?: string;
  readonly files?: readonly VectorFile[];
  readonly superblock?: Readonly<Record<string, string>>;
  readonly meta?: {
    readonly sha256: string;
    readonly zero: boolean;
    readonly records?: readonly { readonly key: number; readonly length: number; readonly sha256: string }[];
  };
}

interface Case extends UpstreamRun {
  readonly cmdline: string;
  readonly outputs: readonly { readonly name: string; readonly size: number }[];
  readonly disk?: {
    readonly size: number;
    readonly mbr: {
      readonly bootCodeZero: boolean;
      readonly u64_at_0x5c: number;
      readonly bytes_at_0x66: string;
      readonly entries: readonly Readonly<Record<string, number | string>>[];
    };
    readonly gpt: {
      readonly sectorSize: number;
      readonly primary: VectorHeader;
      readonly backup: VectorHeader;
      readonly entries: readonly {
        readonly index: number;
        readonly type: string;
        readonly guid: string;
        readonly first: number;
        readonly last: number;
        readonly attributes: string;
        readonly name: string;
      }[];
    };
    readonly partitions: readonly VectorPartition[];
  };
}

const CASES = vectorLines<Case>('images/disk.jsonl.gz');
const RECIPES = JSON.parse(vectorFile('uki/inputs.json').toString()) as Record<
  string,
  { readonly size: number; readonly sha256: string }
>;

/** What upstream builds and we refuse, or the reverse; by the reason. */
const REFUSED_HERE: readonly (readonly [RegExp, ImagerError['code'], string])[] = [
  [/^disk-meta-0-/, 'invalid-input', 'key 0 ends the list: upstream writes a value that nobody can read'],
  [/^disk-4k-grub-1\.14/, 'unsupported', 'a FAT32 of 25518 clusters, which firmware takes for FAT16'],
  [/^disk-ss-2048-1\.14/, 'invalid-input', 'no disk has such sectors'],
];
/** 1.13.9 keeps 20 bytes more to itself than there are to keep. */
const TAKEN_HERE = /^limit-meta-2620(88|89|95|96)-1\.13\.9$/;

/** Content of which only the size is there: laying out a disk must not read it. */
const digests = new Map<string, string>();

function unread(name: string, size: number, sha256 = ''): Bytes {
  digests.set(name, sha256);
  return ofSource({ key: name, label: name, size, read: () => Promise.reject(new Error(`${name} was read`)) });
}

async function digestOf(content: Bytes): Promise<string> {
  const [only] = content.extents;
  if (only?.kind === 'range' && content.extents.length === 1 && only.length === only.source.size) {
    return digests.get(only.source.key)!;
  }
  return sha256(await read(content));
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** As finalised; 1.13.9 does not know sector sizes. */
function profileOf(one: Case): FinalProfile {
  const text = one.profile.replaceAll(/\{\{repeat (\w) (\d+)\}\}/g, (_, letter: string, count: string) =>
    letter.repeat(Number(count)),
  );
  const known = one.imager === '1.13.9' ? text.replace(/^ +diskSectorSize: .*\n/m, '') : text;
  const { profile } = parseProfile(known, { file: one.id });
  return finaliseProfile(resolveProfile(profile), { defaultVersion: `v${one.imager}` });
}

const CORE_SIZE = 162638;

/** A core of upstream's size that begins as GRUB's do. */
const CORE = coreImage();
const EFI_CORE = stream('efi core', 790528);

function coreImage(): Uint8Array {
  const core = stream('core', CORE_SIZE);
  core.set([0x20, 0x08], 0x1fe);
  core.set(encodeDiskBoot(core.slice(0, 512), CORE_SIZE - 512));
  core[CORE_SIZE - 1] = 1;
  return core;
}

const BOOT_IMAGE = new Uint8Array(512).map((_, index) => index % 251);

function partsOf(one: Case, profile: FinalProfile): DiskParts {
  const input = (name: 'kernel' | 'initramfs' | 'sdBoot'): Bytes => {
    const { path } = profile.input[name];
    const recipe = RECIPES[path.replace('/syn/', '')];
    if (recipe !== undefined) return unread(path, recipe.size, recipe.sha256);
    // A real one: as large as upstream's on BOOT, if it is there.
    const files = one.disk?.partitions.find((partition) => partition.name === 'BOOT')?.files ?? [];
    const file = files.find((entry) => path.endsWith(entry.path.replace('/A/', '/')));
    return unread(path, file?.size ?? 20_000_000, file?.sha256);
  };
  const kernel = input('kernel');
  const initramfs = input('initramfs');
  const bootloader = diskBootloader(diskChoice(profile));
  const bios = profile.arch === 'arm64' ? undefined : { bootImage: BOOT_IMAGE, core: CORE };
  const installed = { kernel, initramfs, cmdline: one.cmdline };
  if (bootloader === 'grub') return { bootloader, ...installed, bios, efiCore: EFI_CORE };
  const { bytes: uki } = buildUki(
    {
      stub: syntheticInput(profile.arch === 'arm64' ? 'stub-arm64.efi' : 'stub-a.efi'),
      architecture: profile.arch,
      osRelease: 'ID=talos\n',
      cmdline: one.cmdline,
      kernelVersion: undefined,
      kernel,
      initramfs,
      traits: profile.traits,
    },
    { timestamp: Number(one.sourceDateEpoch), sharingAlignment: 65536 },
  );
  const systemd = { loader: input('sdBoot'), uki };
  return bootloader === 'sd-boot' ? { bootloader, systemd } : { bootloader, ...installed, systemd, bios: bios! };
}

function buildCase(one: Case): Bytes {
  const profile = profileOf(one);
  checkDisk(profile);
  return buildDisk(partsOf(one, profile), {
    ...diskDimensions(profile),
    version: profile.version,
    architecture: profile.arch,
    traits: profile.traits,
    meta: profile.customization.metaContents,
    epoch: Number(one.sourceDateEpoch),
  });
}

describe('what upstream refuses', () => {
  const refused = CASES.filter(({ rc, id }) => rc !== 0 && !TAKEN_HERE.test(id));
  for (const one of refused) {
    test(one.id, () => {
      const tooSmall = /no allocatable range|partition size must be/.test(one.errorLine ?? '');
      assert.throws(() => buildCase(one), tooSmall ? { code: 'install' } : ImagerError);
    });
  }

  test('1.13.9 refuses META values that fit, we do not', () => {
    const taken = CASES.filter(({ id }) => TAKEN_HERE.test(id));
    assert.equal(taken.length, 4);
    for (const one of taken) buildCase(one);
  });
});

for (const one of CASES.filter(({ rc }) => rc === 0)) {
  const [, code, reason] = REFUSED_HERE.find(([id]) => id.test(one.id)) ?? [];
  if (code !== undefined) {
    test(`${one.id} is refused here: ${reason}`, () => {
      assert.throws(() => buildCase(one), { code });
    });
    continue;
  }
  test(one.id, async () => {
    const profile = profileOf(one);
    const disk = buildCase(one);
    assert.deepEqual([{ name: outputFileName(profile), size: disk.size }], one.outputs);
    await compareFirstSector(one, disk);
    const gpt = await compareTable(one, disk);
    for (const wanted of one.disk!.partitions) {
      const [, found] = [...gpt.partitions].find(([, { name }]) => name === wanted.name)!;
      const { offset, size } = partitionRange(gpt, found);
      await comparePartition(one, wanted, slice(disk, offset, offset + size));
    }
    await assertNothingElse(gpt, disk);
  });
}

async function compareFirstSector(one: Case, disk: Bytes): Promise<void> {
  const wanted = one.disk!.mbr;
  const sector = Buffer.from(await read(disk, 0, 512));
  const { bootCode, partitions } = decodeMbr(sector);
  assert.equal(
    bootCode.every((byte) => byte === 0),
    wanted.bootCodeZero,
  );
  if (!wanted.bootCodeZero) {
    assert.equal(sector.readBigUInt64LE(0x5c), BigInt(wanted.u64_at_0x5c));
    assert.equal(sector.toString('hex', 0x66, 0x68), wanted.bytes_at_0x66);
    const expected = Buffer.from(BOOT_IMAGE);
    expected.writeBigUInt64LE(BigInt(wanted.u64_at_0x5c), 0x5c);
    expected.set([0x90, 0x90], 0x66);
    assert.ok(sector.subarray(0, 446).equals(expected.subarray(0, 446)));
  }
  const found = [...partitions].map(([index, { bootable, type, first, last, start, count }]) => ({
    index: index + 1,
    status: bootable ? '0x80' : '0x0',
    chsStart: Buffer.from(first).toString('hex'),
    type: `0x${type.toString(16)}`,
    chsEnd: Buffer.from(last).toString('hex'),
    start,
    count,
  }));
  assert.deepEqual(found, wanted.entries);
}

async function compareTable(one: Case, disk: Bytes): Promise<Gpt> {
  const wanted = one.disk!.gpt;
  const gpt = await decodeGpt(disk);
  assert.equal(gpt.sectorSize, wanted.sectorSize);
  assert.equal(gpt.copy, 'primary');
  for (const header of [wanted.primary, wanted.backup]) {
    const at = header.myLBA * gpt.sectorSize;
    const sector = await read(disk, at, gpt.sectorSize);
    assert.deepEqual(headerFields(decodeHeader(sector, header.myLBA)), header);
    assert.ok(sector.subarray(92).every((byte) => byte === 0));
    const entries = header.entriesLBA * gpt.sectorSize;
    const first = wanted.primary.entriesLBA * gpt.sectorSize;
    assert.deepEqual(await read(disk, entries, 16384), await read(disk, first, 16384));
  }
  const found = [...gpt.partitions].map(([index, { type, guid, firstLba, lastLba, attributes, name }]) => ({
    index,
    type,
    guid,
    first: firstLba,
    last: lastLba,
    bytes: (lastLba + 1 - firstLba) * gpt.sectorSize,
    attributes: `0x${attributes.toString(16)}`,
    name,
  }));
  assert.deepEqual(found, wanted.entries);
  return gpt;
}

function headerFields(header: GptHeader): VectorHeader {
  const { lba, alternateLba, firstUsable, lastUsable, diskGuid, entriesLba, entryCount, entrySize } = header;
  return {
    myLBA: lba,
    alternateLBA: alternateLba,
    firstUsable,
    lastUsable,
    diskGuid,
    entriesLBA: entriesLba,
    entryCount,
    entrySize,
  };
}

/** Between the tables and around the partitions there is nothing. */
async function assertNothingElse({ header, partitions, sectorSize }: Gpt, disk: Bytes): Promise<void> {
  let end = header.entriesLba * sectorSize + 16384;
  const backup = disk.size - (disk.size % sectorSize) - sectorSize - 16384;
  for (const start of [...[...partitions.values()].map(({ firstLba }) => firstLba * sectorSize), backup]) {
    assert.ok(slice(disk, end, start).extents.every(({ kind }) => kind === 'zeros'));
    const next = [...partitions.values()].find(({ firstLba }) => firstLba * sectorSize === start);
    if (next !== undefined) end = (next.lastLba + 1) * sectorSize;
  }
}

async function comparePartition(one: Case, wanted: VectorPartition, content: Bytes): Promise<void> {
  switch (wanted.name) {
    case 'EFI':
      await compareBootSector(wanted.fat!, content);
      return compareEfiTree(one, wanted.fat!.entries, content);
    case 'BIOS':
      return compareBios(wanted, content);
    case 'BOOT':
      await compareSuperblock(wanted.superblock!, content);
      return compareBootTree(wanted, content);
    case 'META':
      return compareMeta(wanted.meta!, content);
    default:
      assert.equal(wanted.zero, true);
      assert.ok(content.extents.every(({ kind }) => kind === 'zeros'));
  }
}

/** Field of a FAT32 boot sector: offset and width in bytes. */
const BOOT_SECTOR_FIELDS = {
  bytesPerSector: [11, 2],
  sectorsPerCluster: [13, 1],
  reservedSectors: [14, 2],
  fats: [16, 1],
  rootEntries: [17, 2],
  totalSectors16: [19, 2],
  sectorsPerTrack: [24, 2],
  heads: [26, 2],
  hiddenSectors: [28, 4],
  totalSectors32: [32, 4],
  fatSectors: [36, 4],
  flags: [40, 2],
  version: [42, 2],
  rootCluster: [44, 4],
  fsInfo: [48, 2],
  backupBoot: [50, 2],
} as const;

async function compareBootSector(wanted: NonNullable<VectorPartition['fat']>, content: Bytes): Promise<void> {
  const sector = Buffer.from(await read(content, 0, 512));
  for (const [name, [at, width]] of Object.entries(BOOT_SECTOR_FIELDS)) {
    assert.equal(sector.readUIntLE(at, width), wanted[name], name);
  }
  assert.equal(sector.toString('hex', 0, 3), wanted.jump);
  assert.equal(sector.toString('latin1', 3, 11), wanted.oem);
  assert.equal(`0x${sector[21]!.toString(16)}`, wanted.media);
  assert.equal(`0x${sector[64]!.toString(16)}`, wanted.drive);
  assert.equal(sector.readUInt32LE(67).toString(16).padStart(8, '0'), wanted.serial);
  assert.equal(sector.toString('latin1', 71, 82), wanted.label);
  assert.equal(sector.toString('latin1', 82, 90), wanted.fsType);
}

async function compareEfiTree(one: Case, wanted: readonly FatEntry[], content: Bytes): Promise<void> {
  const fat = await decodeFat(content);
  assert.equal(fat.label, 'EFI');
  // The UKI has our own bytes, GRUB's core those of another build; real loaders are not here.
  const hasOwnBytes = one.id.startsWith('real-') || !fat.tree.byPath.has('loader') ? /\.efi$/ : /^EFI\/Linux\//;
  const found = [];
  for (const entry of fat.tree.entries) {
    if (entry.path === '') continue;
    const isCompared = entry.kind === 'file' && !hasOwnBytes.test(entry.path);
    found.push({
      path: entry.path,
      attr: entry.kind === 'file' ? '0x20' : '0x10',
      modified: new Date(entry.mtime * 1000).toISOString().slice(0, 19),
      sha256: isCompared ? await digestOf(entry.content) : undefined,
    });
  }
  const expected = wanted
    .filter(({ attr }) => attr !== '0x8')
    .map(({ path: absolute, attr, modified, sha256: digest }) => {
      const path = absolute.slice(1);
      return { path, attr, modified, sha256: hasOwnBytes.test(path) ? undefined : digest };
    });
  assert.deepEqual(found.sort(byPath), expected.sort(byPath));
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

async function compareBios(wanted: VectorPartition, content: Bytes): Promise<void> {
  const data = Buffer.from(await read(content));
  assert.equal(isZero(data), wanted.zero);
  if (wanted.zero === true) return;
  assert.equal(wanted.nonZeroLength, CORE_SIZE);
  assert.equal(data.readBigUInt64LE(0x1f4), BigInt(wanted.u64_at_0x1f4!));
  assert.equal(data.readUInt16LE(0x1fc), wanted.u16_at_0x1fc);
  const expected = Buffer.alloc(data.length);
  expected.set(CORE);
  expected.writeBigUInt64LE(BigInt(wanted.u64_at_0x1f4!), 0x1f4);
  assert.ok(data.equals(expected));
}

async function compareSuperblock(wanted: Readonly<Record<string, string>>, content: Bytes): Promise<void> {
  const block = Buffer.from(await read(content, 0, 512));
  assert.deepEqual(
    {
      blocksize: String(block.readUInt32BE(4)),
      dblocks: String(block.readBigUInt64BE(8)),
      uuid: block.toString('hex', 32, 48),
      agblocks: String(block.readUInt32BE(84)),
      agcount: String(block.readUInt32BE(88)),
      logblocks: String(block.readUInt32BE(96)),
      sectsize: String(block.readUInt16BE(102)),
      inodesize: String(block.readUInt16BE(104)),
      fname: `"${block.toString('latin1', 108, 120).replaceAll('\0', '\\000')}"`,
      features_ro_compat: hexOf(block.readUInt32BE(212)),
      features_incompat: hexOf(block.readUInt32BE(216)),
    },
    { ...wanted, uuid: wanted.uuid!.replaceAll('-', '') },
  );
}

function hexOf(value: number): string {
  return value === 0 ? '0' : `0x${value.toString(16)}`;
}

async function compareBootTree(wanted: VectorPartition, content: Bytes): Promise<void> {
  const { tree } = await decodeXfs(content);
  const found = [];
  for (const entry of tree.entries) {
    const type = entry.kind === 'directory' ? 0o40000 : 0o100000;
    found.push({
      path: `/${entry.path}`,
      mode: `0o${(type | entry.mode).toString(8)}`,
      owner: [entry.uid, entry.gid],
      ...(entry.path === '' ? {} : { mtime: entry.mtime }),
      ...(entry.kind === 'file' ? { size: entry.content.size, sha256: await digestOf(entry.content) } : {}),
    });
  }
  const root = { path: '/', mode: wanted.rootMode, owner: [0, 0] };
  const files = wanted.files!.map(({ path, mode, uid, gid, mtime, size, sha256: digest }) => ({
    path,
    mode,
    owner: [uid, gid],
    mtime,
    ...(size === undefined ? {} : { size, sha256: digest }),
  }));
  assert.deepEqual(found, [root, ...files]);
}

async function compareMeta(wanted: NonNullable<VectorPartition['meta']>, content: Bytes): Promise<void> {
  const data = await read(content);
  assert.equal(isZero(data), wanted.zero);
  const found = decodeMetaPartition(data).values.map(({ key, value }) => ({
    key,
    length: value.length,
    sha256: sha256(value),
  }));
  const records = wanted.records ?? [];
  const expected = records.map(({ key, length, sha256: digest }) => ({ key, length, sha256: digest }));
  assert.deepEqual(
    found,
    expected.sort((a, b) => a.key - b.key),
  );
  // Upstream writes several values in any order.
  if (records.length < 2) assert.equal(sha256(data), wanted.sha256);
}
