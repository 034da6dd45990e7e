import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ofText } from '../../src/bytes/bytes.ts';
import { readText } from '../../src/bytes/read.ts';
import { installedBootloader } from '../../src/installer/artifacts-layer.ts';
import { keptLayers } from '../../src/installer/base.ts';
import { overlayEntries } from '../../src/installer/overlay-layer.ts';
import { loadedTags } from '../../src/installer/tags.ts';
import { type Entry, treeOf } from '../../src/tree/tree.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test('of two layers the first is kept, of any other number all', () => {
  const kept = [[], [1], [1, 2], [1, 2, 3]].map((layers) => keptLayers(layers));
  assert.deepEqual(kept, [[], [1], [1], [1, 2, 3]]);
});

test('systemd-boot is what 1.10 brings, and what SecureBoot needs', () => {
  const choices = [false, true].flatMap((secureBoot) =>
    [false, true].map((usesSdBootForUefi) => installedBootloader({ secureBoot, traits: { usesSdBootForUefi } })),
  );
  assert.deepEqual(choices, ['grub', 'sd-boot', 'sd-boot', 'sd-boot']);
});

describe('the name under which an archive is loaded', () => {
  const cases: readonly (readonly [reference: string, tags: readonly string[] | null])[] = [
    ['', null],
    ['busybox', ['busybox:latest']],
    ['ghcr.io/siderolabs/installer:v1.9.0', ['ghcr.io/siderolabs/installer:v1.9.0']],
    ['localhost:5000/installer', ['localhost:5000/installer:latest']],
    [`example.org/base@${DIGEST}`, null],
    [`example.org/base:v1@${DIGEST}`, null],
  ];
  for (const [reference, tags] of cases) {
    test(JSON.stringify(reference), () => assert.deepEqual(loadedTags(reference), tags));
  }
});

describe('the layer of an overlay', () => {
  const file = (path: string, text: string, mode = 0o644): Entry => ({
    kind: 'file',
    path,
    content: ofText(text),
    mode,
    uid: 7,
    gid: 7,
    mtime: 9,
  });
  const link = (path: string, target: string): Entry => ({
    kind: 'symlink',
    path,
    target,
    mode: 0o777,
    uid: 0,
    gid: 0,
    mtime: 9,
  });
  const layer = (...entries: readonly Entry[]): readonly Entry[] =>
    overlayEntries({ tree: treeOf(entries), name: 'board', options: '{}\n', image: 'example.org/ov:1' });
  const program = file('installers/board', 'program', 0o4755);

  test('has artifacts, program and options, in the order of their paths', async () => {
    const entries = layer(
      program,
      file('artifacts/b', 'b'),
      file('artifacts/a/c', 'c'),
      file('profiles/board.yaml', 'x'),
    );
    assert.deepEqual(
      entries.map(({ kind, path, mode, uid, mtime }) => [kind, path, mode, uid, mtime]),
      [
        ['directory', 'overlay/artifacts/a', 0o755, 0, 0],
        ['file', 'overlay/artifacts/a/c', 0o644, 0, 0],
        ['file', 'overlay/artifacts/b', 0o644, 0, 0],
        ['file', 'overlay/extra-options', 0o644, 0, 0],
        ['file', 'overlay/installers/default', 0o755, 0, 0],
      ],
    );
  });

  test('has copies in place of links', async () => {
    const [copy] = layer(program, file('artifacts/z', 'content'), link('artifacts/l', 'z'));
    assert.ok(copy?.kind === 'file');
    assert.equal(copy.mode, 0o777);
    assert.equal(await readText(copy.content, 'copy', 100), 'content');
  });

  const refused: readonly (readonly [what: string, entries: readonly Entry[], message: RegExp])[] = [
    ['nothing', [], /^overlay image example\.org\/ov:1: no artifacts\/, no installers\/board$/],
    ['no program', [file('artifacts/a', '')], /no installers\/board$/],
    ['a link to nothing', [program, link('artifacts/l', 'gone')], /link artifacts\/l leads to no file/],
    ['a link to a directory', [program, file('artifacts/d/x', ''), link('artifacts/l', 'd')], /leads to no file/],
    [
      'a device',
      [program, { kind: 'block', path: 'artifacts/d', major: 1, minor: 1, mode: 0, uid: 0, gid: 0, mtime: 0 }],
      /artifacts\/d is a block/,
    ],
  ];
  for (const [what, entries, message] of refused) {
    test(`with ${what} is refused`, () => assert.throws(() => layer(...entries), { code: 'dependency', message }));
  }
});
