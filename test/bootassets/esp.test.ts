import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EspParts, espTree, isoEspSize, layoutIsoEsp, SHARING_ALIGNMENT } from '../../src/boot/esp.ts';
import { loaderConf } from '../../src/boot/loader-conf.ts';
import { ofSource, zeros } from '../../src/bytes/bytes.ts';
import { read, readText } from '../../src/bytes/read.ts';
import { MIB } from '../../src/bytes/units.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { fileAt } from '../../src/tree/tree.ts';
import { memorySource, stream } from '../support/bytes.ts';
import { vectorLines } from '../support/vectors.ts';

interface FatVector {
  readonly id: string;
  readonly origin: 'iso' | 'disk';
  readonly size: number;
  readonly sectorsPerCluster: number;
  readonly entries: readonly { readonly path: string; readonly size?: number; readonly volumeLabel?: boolean }[];
}

const KEYS = { platformKey: zeros(1), keyExchangeKey: zeros(2), signatureDatabase: zeros(3) };

const vectors = vectorLines<FatVector>('disk-layout/fat.jsonl.gz').filter(({ entries }) =>
  entries.some(({ path }) => path.startsWith('/EFI/Linux/')),
);

for (const { id, origin, size, entries } of vectors) {
  test(`${id}: the tree of the partition`, () => {
    const paths = entries.filter(({ volumeLabel }) => volumeLabel !== true).map(({ path }) => path.slice(1));
    const sizeOf = (pattern: RegExp) => entries.find(({ path }) => pattern.test(path))?.size ?? 0;
    const version = /^EFI\/Linux\/Talos-(.*)\.efi$/m.exec(paths.join('\n'))![1]!;
    const architecture = paths.some((path) => /bootx64/i.test(path)) ? 'amd64' : 'arm64';
    const keys = paths.some((path) => path.endsWith('PK.auth'));
    const confSize = sizeOf(/loader\.conf$/);
    const enrollment = (['if-safe', 'manual', 'force', 'off'] as const).find(
      (one) => loaderConf(origin, one).length === confSize,
    );
    assert.notEqual(enrollment, undefined, `loader.conf of ${confSize} bytes`);
    const parts: EspParts = {
      loader: zeros(sizeOf(/\/BOOT[AX]/)),
      uki: zeros(sizeOf(/Linux\/Talos/)),
      ...(keys ? { keys: KEYS } : {}),
      ...(paths.some((path) => path.endsWith('.der')) ? { certificate: zeros(1) } : {}),
    };
    const tree = espTree(parts, { medium: origin, architecture, version, enrollment: enrollment!, mtime: 0 });
    // Only the imager of 1.14 writes a random seed on ISOs; an overlay's config.txt is not ours to write.
    const wanted = new Set([
      ...paths.filter((path) => path !== 'config.txt'),
      ...(origin === 'iso' ? ['loader/random-seed'] : []),
    ]);
    assert.deepEqual(
      tree.entries
        .slice(1)
        .map(({ path }) => path)
        .sort(),
      [...wanted].sort(),
    );
    if (origin === 'iso') assert.equal(isoEspSize(parts.loader.size, parts.uki.size).size, Math.max(size, 33 * MIB));
  });
}

test('loader.conf', () => {
  const common = '# systemd-boot configuration\n\ntimeout 10\n';
  assert.equal(loaderConf('disk', 'off'), common);
  assert.equal(loaderConf('disk', 'if-safe'), `${common}\nsecure-boot-enroll if-safe\n`);
  assert.equal(loaderConf('iso', 'off'), `${common}\nsecure-boot-enroll off\n`);
  assert.equal(loaderConf('iso', 'force'), `${common}\nsecure-boot-enroll force\n`);
});

test('cluster sizes of ISO volumes', () => {
  const of = (mib: number) => isoEspSize(MIB, (mib - 11) * MIB);
  assert.deepEqual(of(12), { size: 33 * MIB, sectorsPerCluster: 1 });
  for (const [mib, sectorsPerCluster] of [
    [65, 1],
    [66, 2],
    [131, 2],
    [132, 4],
    [263, 4],
    [264, 8],
    [2000, 8],
  ] as const) {
    assert.deepEqual(of(mib), { size: mib * MIB, sectorsPerCluster });
  }
  assert.equal(isoEspSize(1, 1).size, 33 * MIB);
  assert.equal(isoEspSize(1, 40 * MIB + 1).size, 52 * MIB);
});

test('keys lie on every SecureBoot ISO, on disks only to be enrolled', () => {
  const parts: EspParts = { loader: zeros(1), uki: zeros(1), keys: KEYS, certificate: zeros(9) };
  const paths = (medium: 'iso' | 'disk', enrollment: 'off' | 'force') =>
    espTree(parts, { medium, architecture: 'arm64', version: 'v1', enrollment, mtime: 0 }).entries.map(
      ({ path }) => path,
    );
  assert.ok(paths('iso', 'off').includes('loader/keys/auto/db.auth'));
  assert.ok(paths('iso', 'off').includes('EFI/keys/uki-signing-cert.der'));
  assert.ok(!paths('disk', 'off').includes('loader/keys'));
  assert.ok(paths('disk', 'force').includes('loader/keys/auto/KEK.auth'));
  assert.ok(!paths('disk', 'force').includes('EFI/keys'));
  assert.ok(paths('disk', 'force').includes('EFI/boot/BOOTAA64.efi'));
});

test('a version is part of one file name', () => {
  const tree = (version: string) =>
    espTree({ loader: zeros(1), uki: zeros(1) }, { medium: 'iso', architecture: 'amd64', version, mtime: 0 });
  assert.ok(tree('v1.14.0-rc.1+a b').byPath.has('EFI/Linux/Talos-v1.14.0-rc.1+a b.efi'));
  for (const version of ['', 'a/b', '../x', 'a\\b', 'x'.repeat(201)]) {
    assert.throws(() => tree(version), { code: 'invalid-input' }, version);
  }
});

test('the image of an ISO: content at shareable places, nothing read, seed and configuration as they are', async () => {
  const source = memorySource(stream('uki', 3 * MIB));
  const base = 35 * MIB + 2048;
  const parts: EspParts = { loader: ofSource(memorySource(stream('loader', 100_000))), uki: ofSource(source) };
  const options = { medium: 'iso', architecture: 'amd64', version: 'v1.13.0', mtime: 1559424892 } as const;
  const { bytes, files } = layoutIsoEsp(parts, options, base);
  assert.deepEqual(source.reads, []);
  for (const path of ['EFI/BOOT/BOOTX64.EFI', 'EFI/Linux/Talos-v1.13.0.efi']) {
    assert.equal((base + files.get(path)!.offset) % SHARING_ALIGNMENT, 0);
  }
  const decoded = await decodeFat(bytes);
  const seed = fileAt(decoded.tree, 'loader/random-seed')!;
  assert.deepEqual(await read(seed), new Uint8Array(32));
  assert.equal(decoded.tree.byPath.get('loader/random-seed')!.mode, 0o444);
  const conf = await readText(fileAt(decoded.tree, 'loader/loader.conf')!, 'loader.conf', 1000);
  assert.equal(conf, loaderConf('iso', 'off'));
});
