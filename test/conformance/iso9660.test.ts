/** xorriso judges our volumes, and our reader xorriso's. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { type Bytes, ofSource, slice } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { decodeIso9660, type IsoVolume } from '../../src/formats/iso9660/decode.ts';
import { layoutIso9660 } from '../../src/formats/iso9660/layout.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { stream } from '../support/bytes.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('xorriso');
const platform = nodePlatform();
const directory = mkdtempSync(join(tmpdir(), 'bootwright-iso9660-'));
after(async () => {
  // Extracted directories are not writable.
  execFileSync('chmod', ['-R', 'u+w', directory]);
  rmSync(directory, { recursive: true });
  await platform.close();
});

const TIME = 1559424892;
const OPTIONS = { volumeId: 'TALOS_V1_13_0', volumeSetId: 'Talos-v1.13.0', preparerId: 'TEST', time: TIME };

function xorriso(...args: readonly string[]): string {
  return execFileSync('xorriso', args, {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

let images = 0;
async function written(bytes: Bytes): Promise<string> {
  images++;
  const path = join(directory, `${images}.iso`);
  await writeToFile(platform.files, path, bytes);
  return path;
}

/** Several blocks of records, continued fields, colliding identifiers, deep directories, a large file. */
function sample(): Tree {
  const tree = treeOfLiterals(
    {
      'boot/vmlinuz': stream('kernel', 3_000_001),
      empty: '',
      'deep/a/b/c/d/e/f/g/h/i/j': 'down here',
      link: { link: '../a/./b' },
      'root-link': { link: '/x/y' },
      'long-link': { link: Array.from({ length: 8 }, (_, index) => `${index}`.repeat(100)).join('/') },
      ['x'.repeat(255)]: 'long name',
      'ünïcode.txt': 'UTF-8',
      Same: '1',
      same: '2',
      SAME: '3',
      ...Object.fromEntries(
        Array.from({ length: 200 }, (_, index) => [`many/${'n'.repeat(190)} ${index}.mod`, `${index}`]),
      ),
    },
    { mtime: TIME },
  );
  // Directories that were only implied have no time.
  return treeOf(tree.entries.map((entry) => ({ ...entry, mtime: TIME })));
}

async function assertExtracts(image: string, tree: Tree, ...options: readonly string[]): Promise<void> {
  const target = `${image}.files`;
  xorriso('-osirrox', 'on', ...options, '-indev', image, '-extract', '/', target);
  for (const entry of tree.entries) {
    const path = join(target, entry.path);
    const info = lstatSync(path);
    if (entry.kind === 'symlink') {
      assert.equal(readlinkSync(path), entry.target);
      continue;
    }
    assert.equal(info.isDirectory() ? 'directory' : 'file', entry.kind, entry.path);
    assert.equal(info.mode & 0o7777, entry.mode, entry.path);
    if (entry.path !== '') assert.equal(Math.floor(info.mtimeMs / 1000), TIME, entry.path);
    if (entry.kind === 'file') assert.ok(readFileSync(path).equals(await read(entry.content)), entry.path);
  }
}

test('xorriso extracts every file', { skip }, async () => {
  await assertExtracts(await written(layoutIso9660(sample(), OPTIONS).bytes), sample());
});

test('xorriso extracts every file of the partition view', { skip }, async () => {
  const appended = { bytes: ofSource(await platform.files.source(process.execPath), 0, 100_000), alignment: 1 << 20 };
  const layout = layoutIso9660(sample(), { ...OPTIONS, appended, partitionView: true });
  await assertExtracts(await written(layout.bytes), sample());
  const partition = slice(layout.bytes, 16 * 2048, layout.appended!.offset);
  await assertExtracts(await written(partition), sample());
});

test('xorriso reads files that lie in the appended bytes', { skip }, async () => {
  const uki = ofSource(await platform.files.source(process.execPath), 4096, 1_000_000);
  const tree = treeOf(
    treeOfLiterals({ 'EFI/uki.efi': uki, other: 'x' }).entries.map((entry) => ({ ...entry, mtime: TIME })),
  );
  const appended = { bytes: ofSource(await platform.files.source(process.execPath), 0, 2_000_000), alignment: 1 << 20 };
  const layout = layoutIso9660(tree, {
    ...OPTIONS,
    appended,
    partitionView: true,
    shared: new Map([['EFI/uki.efi', { in: 'appended', offset: 4096 }]]),
  });
  const image = await written(layout.bytes);
  await assertExtracts(image, tree);
  const report = xorriso('-indev', image, '-find', '/EFI', '-type', 'f', '-exec', 'report_lba');
  assert.match(
    report,
    new RegExp(`File data lba: +0 , +${(layout.appended!.offset + 4096) / 2048} , +489 , +1000000 , '/EFI/uki.efi'`),
  );
});

test('files of more than 4 GiB are whole for xorriso', { skip }, async () => {
  const size = 2 ** 32 + 4097;
  const big = treeOfLiterals({ big: { size, extents: [{ kind: 'zeros', length: size }], starts: [0] }, next: 'next' });
  const report = xorriso(
    '-indev',
    await written(layoutIso9660(big, OPTIONS).bytes),
    '-find',
    '/',
    '-exec',
    'report_lba',
  );
  assert.match(report, /4294971393 , '\/big'/);
});

test('our reader reads what xorriso writes, and gives the same identifiers', { skip }, async () => {
  const source = join(directory, 'source');
  for (const entry of sample().entries) {
    const path = join(source, entry.path);
    mkdirSync(entry.kind === 'directory' ? path : dirname(path), { recursive: true });
    if (entry.kind === 'file') writeFileSync(path, await read(entry.content));
    if (entry.kind === 'symlink') symlinkSync(entry.target, path);
    if (entry.kind === 'file' || entry.kind === 'directory') chmodSync(path, entry.mode);
    if (entry.kind === 'file') utimesSync(path, TIME, TIME);
  }
  const image = join(directory, 'xorriso.iso');
  const dates = ['--set_all_file_dates', `=${TIME}`];
  xorriso('-as', 'mkisofs', '-iso-level', '3', '-R', '-V', OPTIONS.volumeId, ...dates, '-o', image, source);
  const theirs = await decodeIso9660(ofSource(await platform.files.source(image)));
  const ours = await decodeIso9660(layoutIso9660(sample(), OPTIONS).bytes);
  assert.deepEqual([...theirs.identifiers].sort(), [...ours.identifiers].sort());
  assert.deepEqual(
    theirs.pathTable.map(({ identifier, parent }) => [identifier, parent]),
    ours.pathTable.map(({ identifier, parent }) => [identifier, parent]),
  );
  assert.deepEqual(outline(theirs), outline(ours));
  for (const entry of theirs.tree.entries) {
    const twin = ours.tree.byPath.get(entry.path);
    if (entry.kind !== 'file' || twin?.kind !== 'file') continue;
    assert.ok(Buffer.from(await read(entry.content)).equals(await read(twin.content)), entry.path);
  }
});

function outline(volume: IsoVolume): unknown[] {
  return volume.tree.entries.map((entry) => [
    entry.path,
    entry.kind,
    entry.mode,
    entry.mtime,
    entry.kind === 'symlink' ? entry.target : undefined,
    entry.kind === 'file' ? entry.content.size : undefined,
  ]);
}
