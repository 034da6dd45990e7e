import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ofMemory, ofSource, zeros } from '../../../src/bytes/bytes.ts';
import { read } from '../../../src/bytes/read.ts';
import { parseDigest } from '../../../src/bytes/units.ts';
import { layoutOva } from '../../../src/formats/ova/layout.ts';
import { encodeOvf } from '../../../src/formats/ova/ovf.ts';
import { element, formatXml } from '../../../src/formats/ova/xml.ts';
import { memorySource, stream } from '../../support/bytes.ts';
import { vectorLines } from '../../support/vectors.ts';

interface FormatVector {
  readonly id: string;
  readonly ova?: {
    readonly members: readonly {
      readonly name: string;
      readonly mode: string;
      readonly uid: number;
      readonly gid: number;
      readonly type: string;
    }[];
    readonly mf: string;
    readonly ovf: string;
    readonly vmdk: { readonly capacity: number };
  };
}

interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: readonly (Node | string)[];
}

/** Elements, attributes and text of XML without CDATA and processing instructions; comments and blanks between elements are left out. */
function parseXml(text: string): Node {
  const decode = (value: string): string =>
    value.replace(/&(?:(quot|lt|gt|amp)|#(\d+));/g, (_, name: string | undefined, code: string) =>
      name === undefined ? String.fromCharCode(Number(code)) : { quot: '"', lt: '<', gt: '>', amp: '&' }[name]!,
    );
  const root: { name: string; attributes: Record<string, string>; content: (Node | string)[] } = {
    name: '',
    attributes: {},
    content: [],
  };
  const open = [root];
  const rest = text.replace(/^<\?xml [^>]*\?>/, '').replace(/<!--[\s\S]*?-->/g, '');
  for (const [, close, name = '', inside = '', empty, words] of rest.matchAll(
    /<(\/?)([\w:]+)((?:\s+[\w:]+="[^"]*")*)\s*(\/?)>|([^<]+)/g,
  )) {
    if (words !== undefined) {
      if (words.trim() !== '') open.at(-1)!.content.push(decode(words));
    } else if (close === '/') {
      assert.equal(open.pop()!.name, name);
    } else {
      const attributes = Object.fromEntries(
        [...inside.matchAll(/([\w:]+)="([^"]*)"/g)].map(([, key, value]) => [key!, decode(value!)]),
      );
      const node = { name, attributes, content: [] };
      open.at(-1)!.content.push(node);
      if (empty !== '/') open.push(node);
    }
  }
  assert.equal(open.length, 1);
  assert.equal(root.content.length, 1);
  return root.content[0] as Node;
}

interface Member {
  readonly header: Readonly<Record<string, string | number>>;
  readonly mtime: number;
  readonly data: Buffer;
}

function members(archive: Buffer): Member[] {
  const found: Member[] = [];
  for (let at = 0; archive[at] !== 0; ) {
    const field = (offset: number, length: number): string =>
      archive.toString('latin1', at + offset, at + offset + length).replace(/\0.*$/s, '');
    const number = (offset: number, length: number): number => Number.parseInt(field(offset, length), 8);
    const size = number(124, 12);
    found.push({
      header: {
        name: field(0, 100),
        mode: `0o${number(100, 8).toString(8)}`,
        uid: number(108, 8),
        gid: number(116, 8),
        type: field(156, 1),
      },
      mtime: number(136, 12),
      data: archive.subarray(at + 512, at + 512 + size),
    });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

const VMDK = stream('vmdk', 70_000);
const DIGEST = parseDigest(`sha256:${createHash('sha256').update(VMDK).digest('hex')}`);

for (const { id, ova } of vectorLines<FormatVector>('images/disk-formats.jsonl.gz')) {
  if (ova === undefined) continue;
  test(`${id}: the descriptor has the elements of upstream's`, () => {
    const diskSize = ova.vmdk.capacity * 512;
    const ours = new TextDecoder().decode(encodeOvf({ diskSize, vmdkSize: 4711, vmdkName: 'disk.vmdk' }));
    assert.deepEqual(parseXml(ours), parseXml(ova.ovf.replace('<VMDK SIZE>', '4711')));
  });

  test(`${id}: members and manifest of upstream's archive`, async () => {
    const options = { diskSize: ova.vmdk.capacity * 512, vmdkDigest: DIGEST, mtime: 1559424892 };
    const archive = Buffer.from(await read(layoutOva(ofMemory(VMDK), options)));
    const [ovf, manifest, vmdk, ...more] = members(archive);
    assert.equal(more.length, 0);
    const wanted = ova.members.map(({ name, mode, uid, gid, type }) => ({ name, mode, uid, gid, type }));
    assert.deepEqual(
      [ovf, manifest, vmdk].map((one) => one!.header),
      wanted,
    );
    assert.deepEqual(
      [ovf, manifest, vmdk].map((one) => one!.mtime),
      [1559424892, 1559424892, 1559424892],
    );
    assert.ok(vmdk!.data.equals(VMDK));
    const digests = [vmdk, ovf].map((one) => createHash('sha256').update(one!.data).digest('hex'));
    let next = 0;
    assert.equal(
      manifest!.data.toString(),
      ova.mf.replace(/<sha256>/g, () => digests[next++]!),
    );
    assert.equal(archive.length % 10240, 0);
  });
}

test('the disk is referred to, not read', () => {
  const source = memorySource(VMDK);
  layoutOva(ofSource(source), { diskSize: 1 << 20, vmdkDigest: DIGEST, mtime: 0 });
  assert.equal(source.reads.length, 0);
  const big = layoutOva(zeros(9 * 2 ** 30), { diskSize: 2 ** 40, vmdkDigest: DIGEST, mtime: 0 });
  assert.ok(big.size > 9 * 2 ** 30 && big.extents.length < 10);
});

test('a disk that is not whole MiB is counted in bytes', () => {
  const disk = (diskSize: number): Readonly<Record<string, string>> => {
    const text = new TextDecoder().decode(encodeOvf({ diskSize, vmdkSize: 1, vmdkName: 'disk.vmdk' }));
    return ((parseXml(text).content[1] as Node).content[1] as Node).attributes;
  };
  const { 'ovf:capacity': whole, 'ovf:capacityAllocationUnits': wholeUnits } = disk(3 << 20);
  assert.deepEqual([whole, wholeUnits], ['3', 'byte * 2^20']);
  const { 'ovf:capacity': odd, 'ovf:capacityAllocationUnits': oddUnits } = disk((3 << 20) + 512);
  assert.deepEqual([odd, oddUnits], ['3146240', 'byte']);
});

test('XML: what is written reads back', () => {
  const value = `<a b="c">&amp; 'x'\ttab\nline\rend é 😀`;
  const text = formatXml(element('r', { k: value }, [element('e'), element('t', {}, value)]));
  assert.deepEqual(parseXml(text), {
    name: 'r',
    attributes: { k: value },
    content: [
      { name: 'e', attributes: {}, content: [] },
      { name: 't', attributes: {}, content: [value] },
    ],
  });
  for (const bad of ['\0', '\u000b', '\ud800', '\uffff']) {
    assert.throws(() => formatXml(element('t', {}, bad)), { code: 'invalid-input' }, JSON.stringify(bad));
  }
});
