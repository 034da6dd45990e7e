/** Trees that try the forms of squashfs: seeded, so that each is the same everywhere. */
import { type Bytes, concat, ofMemory, ofText, zeros } from '../../src/bytes/bytes.ts';
import { type Attributes, type Entry, type Tree, treeOf } from '../../src/tree/tree.ts';
import { stream } from './bytes.ts';

export const EPOCH = 1559424892;

const COMMON = { mode: 0o644, uid: 0, gid: 0, mtime: EPOCH } as const;
const BLOCK = 131072;

/** Every kind of inode, short and extended, and every form of content. */
export function formsTree(): Tree {
  const file = (path: string, content: Bytes, more: Partial<Entry> = {}): Entry =>
    ({ kind: 'file', path, ...COMMON, content, ...more }) as Entry;
  const noise = (path: string, size: number, more: Partial<Entry> = {}): Entry =>
    file(path, ofMemory(stream(path, size)), more);
  const words = (count: number): Bytes => ofText('to be compressed, '.repeat(count));
  const label = (name: string): Partial<Entry> => ({
    xattrs: new Map([['security.selinux', new TextEncoder().encode(`system_u:object_r:${name}_t:s0`)]]),
  });
  const long = (seed: string, length: number): string => seed.repeat(length).slice(0, length);
  const shared = Symbol('shared');
  const sharedContent = words(9000);
  const hardLink = (path: string): Entry =>
    file(path, sharedContent, { inode: shared, ...label('linked') } as Partial<Entry>);
  const value = stream('value', 300);
  const sparse = concat([ofMemory(stream('head', 1000)), zeros(5 * BLOCK), ofMemory(stream('tail', 1000))]);
  return treeOf([
    { kind: 'directory', path: '', ...COMMON, mode: 0o755, ...label('root') } as Entry,
    ...[0, 1, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 77].map((size) => noise(`noise/${size}`, size)),
    ...[1, 100, 7281, 7282, 30_000].map((count) => file(`words/${count}`, words(count))),
    noise('noise/again', 0),
    file('words/again', words(30_000)),
    file('sparse/middle', sparse),
    file('sparse/all', zeros(4 * BLOCK + 5)),
    file('sparse/small', zeros(5)),
    file('sparse/memory', ofMemory(new Uint8Array(2 * BLOCK))),
    file('sparse/end', concat([ofMemory(stream('end', BLOCK)), zeros(BLOCK + 9)])),
    hardLink('links/one'),
    hardLink('links/two'),
    hardLink('three'),
    { kind: 'symlink', path: 'links/short', ...COMMON, mode: 0o777, target: '../three' },
    { kind: 'symlink', path: 'links/long', ...COMMON, mode: 0o777, target: long('target/', 4095) },
    { kind: 'symlink', path: 'links/labelled', ...COMMON, mode: 0o777, target: 'x', ...label('link') } as Entry,
    { kind: 'fifo', path: 'nodes/fifo', ...COMMON, mode: 0o600 },
    { kind: 'fifo', path: 'nodes/labelled fifo', ...COMMON, ...label('fifo') } as Entry,
    { kind: 'character', path: 'nodes/null', ...COMMON, mode: 0o666, major: 1, minor: 3 },
    { kind: 'block', path: 'nodes/largest', ...COMMON, mode: 0o660, major: 4095, minor: 1048575 },
    { kind: 'block', path: 'nodes/labelled', ...COMMON, major: 8, minor: 300, ...label('node') } as Entry,
    { kind: 'directory', path: 'empty', ...COMMON, mode: 0, mtime: 0 },
    { kind: 'directory', path: 'sticky', ...COMMON, mode: 0o7777, uid: 1000, gid: 4294967294, mtime: 4294967295 },
    { kind: 'directory', path: 'labelled', ...COMMON, mode: 0o755, ...label('directory') } as Entry,
    noise('labelled/a', 10, label('file')),
    noise('labelled/b', 10, label('file')),
    noise('labelled/several', 10, {
      xattrs: new Map([
        ['security.selinux', new Uint8Array()],
        ['trusted.value', value],
        ['trusted.overlay.opaque', Uint8Array.of(0x79)],
      ]),
    }),
    noise('labelled/the same value', 10, { xattrs: new Map([['trusted.other', value]]) }),
    noise(long('x', 255), 20),
    noise(long('ü', 127), 20),
    noise('日本語/カーネル 🐧', 20),
    noise(`${Array.from({ length: 60 }, (_, index) => `d${index}`).join('/')}/bottom`, 10),
    ...Array.from({ length: 1200 }, (_, index) => file(`many/${'of long names '.repeat(8)}${index}`, zeros(index % 3))),
  ]);
}

/** A tree drawn by lot. Attributes are of `spaces`. */
export function randomTree(seed: string, spaces: readonly string[]): Tree {
  const draw = drawing(seed);
  const directories = [''];
  const entries: Entry[] = [];
  const links: { inode: symbol; content: Bytes; attributes: Attributes }[] = [];
  const count = 1 + draw(60);
  for (let index = 0; index < count; index++) {
    const parent = directories[draw(directories.length)]!;
    const name = `${'name '.repeat(draw(10))}${index}`;
    const path = parent === '' ? name : `${parent}/${name}`;
    const attributes = {
      mode: 0o400 + draw(0o400),
      uid: draw(3) * 1000,
      gid: draw(70_000),
      mtime: EPOCH + draw(100_000),
      ...(draw(4) === 0 ? { xattrs: randomAttributes(draw, spaces) } : {}),
    };
    const kind = draw(20);
    if (kind < 3) {
      entries.push({ kind: 'directory', path, ...attributes });
      directories.push(path);
    } else if (kind < 5) {
      entries.push({ kind: 'symlink', path, ...attributes, mode: 0o777, target: 't'.repeat(1 + draw(300)) });
    } else if (kind === 5) {
      entries.push({ kind: 'fifo', path, ...attributes });
    } else if (kind === 6) {
      entries.push({ kind: 'character', path, ...attributes, major: draw(4096), minor: draw(1048576) });
    } else if (kind === 7 && links.length > 0) {
      const link = links[draw(links.length)]!;
      entries.push({ kind: 'file', path, ...link.attributes, content: link.content, inode: link.inode });
    } else {
      const content = randomContent(draw, `${seed} ${draw(20)}`);
      const inode = Symbol(path);
      if (draw(3) === 0) links.push({ inode, content, attributes });
      entries.push({ kind: 'file', path, ...attributes, content, inode });
    }
  }
  return treeOf(entries);
}

function randomAttributes(draw: (below: number) => number, spaces: readonly string[]): Map<string, Uint8Array> {
  const names = Array.from({ length: 1 + draw(3) }, () => `${spaces[draw(spaces.length)]!}test${draw(4)}`);
  return new Map(names.map((name) => [name, stream(`value ${draw(4)}`, draw(200))]));
}

/** Few seeds, so that contents come again. */
function randomContent(draw: (below: number) => number, seed: string): Bytes {
  const size = draw(5) === 0 ? draw(4 * BLOCK) : draw(5000);
  switch (draw(4)) {
    case 0:
      return ofMemory(stream(seed, size));
    case 1:
      return concat([zeros(draw(2) * BLOCK), ofMemory(stream(seed, 1 + draw(100))), zeros(size)]);
    default:
      return ofText(`${seed} `.repeat(Math.ceil(size / (seed.length + 1))));
  }
}

function drawing(seed: string): (below: number) => number {
  const numbers = new DataView(stream(seed, 1 << 14).buffer);
  let next = 0;
  return (below) => {
    const value = numbers.getUint32((next * 4) % numbers.byteLength);
    next++;
    return value % below;
  };
}
