/** Linux unpacks our archives: uncompressed before everything, compressed behind it, hard links with their data. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { type Bytes, ofMemory, ofText } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { decodeCpio } from '../../src/formats/cpio/decode-cpio.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { type Entry, treeOf } from '../../src/tree/tree.ts';
import { demoFiles, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { bootInQemu, skipWithoutQemu } from '../support/qemu.ts';

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios');
const COMMON = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };

/** Files below `top`: odd sizes, no content, three names of one file in two directories. */
function archive(top: string): { readonly bytes: Bytes; readonly sums: Record<string, string> } {
  const inode = Symbol('linked');
  const texts: Record<string, string> = {
    'a/first': 'three names',
    'a/second': 'three names',
    z: 'three names',
    empty: '',
    größe: 'x'.repeat(4097),
    one: '1',
  };
  const files = Object.entries(texts).map(([path, text]): Entry => {
    const file = { kind: 'file', path: `${top}/${path}`, content: ofText(text), ...COMMON } as const;
    return text === 'three names' ? { ...file, inode } : file;
  });
  const other: Entry[] = [
    { kind: 'symlink', path: `${top}/link`, target: 'one', ...COMMON, mode: 0o777 },
    { kind: 'character', path: `${top}/null`, major: 1, minor: 3, ...COMMON },
    { kind: 'fifo', path: `${top}/pipe`, ...COMMON },
  ];
  // The guest's report is taken as bytes.
  const sums = Object.entries(texts).map(([path, text]) => [
    `/${top}/${Buffer.from(path).toString('latin1')}`,
    createHash('sha256').update(text).digest('hex'),
  ]);
  return { bytes: layoutCpio(treeOf([...files, ...other])), sums: Object.fromEntries(sums) };
}

test('Linux finds every file, in archives before and behind the others', { skip }, async (t) => {
  const { vmlinuz: kernel, initramfs: base } = await demoFiles('amd64');
  const [before, behind] = [archive('before'), archive('behind')];
  const parts = [await read(before.bytes), await readFile(base), zstdCompressSync(await read(behind.bytes))];
  const initramfs = join(tmpdir(), `cpio-${process.pid}.img`);
  t.after(() => rm(initramfs));
  await writeFile(initramfs, Buffer.concat(parts));
  const medium = { kind: 'kernel', kernel, initramfs, cmdline: 'console=ttyS0 panic=1' } as const;
  const { report } = await bootInQemu({ firmware: 'seabios', medium });
  assert.deepEqual(report.files, { sound: 4, total: 4 });
  assert.deepEqual(report.extra, { ...before.sums, ...behind.sums });
  const { tree, end } = await decodeCpio(ofMemory(Buffer.concat(parts)));
  assert.equal(end, before.bytes.size, 'our reader stops where the compressed part begins');
  assert.ok(tree.byPath.has('before/a/first'));
});
