/** What the vectors do not have: where content lies, and parts that do not fit. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildUki, SHARING_ALIGNMENT } from '../../src/boot/uki.ts';
import { type Bytes, type Extent, ofSource, slice } from '../../src/bytes/bytes.ts';
import { equals } from '../../src/bytes/read.ts';
import { buildDisk } from '../../src/disk/build.ts';
import type { DiskImageOptions, DiskParts } from '../../src/disk/parts.ts';
import { ImagerError } from '../../src/errors.ts';
import { decodeFat } from '../../src/formats/fat/decode.ts';
import { decodeGpt, partitionRange } from '../../src/formats/gpt/decode.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

const VERSION = 'v1.13.0';
const TRAITS = traitsOf(VERSION);
const MIB = 2 ** 20;
const OPTIONS: DiskImageOptions = {
  version: VERSION,
  architecture: 'amd64',
  traits: TRAITS,
  epoch: 1559424892,
  meta: [],
  size: 4453302272,
};

/** Content that nothing may read. */
function unread(key: string, size: number): Bytes {
  return ofSource({ key, label: key, size, read: () => Promise.reject(new Error(`${key} was read`)) });
}

interface Sizes {
  readonly kernel?: number;
  readonly initramfs?: number;
}

function dualBoot(sizes: Sizes = {}, more: Partial<DiskParts> = {}): DiskParts {
  const kernel = unread('kernel', sizes.kernel ?? 20_000_001);
  const initramfs = unread('initramfs', sizes.initramfs ?? 80_000_003);
  const uki = buildUki(
    {
      stub: syntheticInput('stub-a.efi'),
      architecture: 'amd64',
      osRelease: 'ID=talos\n',
      cmdline: 'x',
      kernelVersion: undefined,
      kernel,
      initramfs,
      traits: TRAITS,
    },
    { timestamp: 0, sharingAlignment: SHARING_ALIGNMENT },
  );
  const bios = { bootImage: new Uint8Array(512), core: new Uint8Array(100_000).fill(1) };
  const systemd = { loader: unread('loader', 120_001), uki: uki.bytes };
  return { bootloader: 'dual-boot', systemd, bios, kernel, initramfs, cmdline: 'x', ...more } as DiskParts;
}

function sdBoot(sizes: Sizes = {}): DiskParts {
  const parts = dualBoot(sizes);
  assert.ok(parts.bootloader === 'dual-boot');
  return { bootloader: 'sd-boot', systemd: parts.systemd };
}

/** Where each of these sources begins, every time it is there. */
function placesOf(disk: Bytes, key: string): number[] {
  const isStart = (extent: Extent): boolean =>
    extent.kind === 'range' && extent.source.key === key && extent.offset === 0;
  return disk.extents.flatMap((extent, index) => (isStart(extent) ? [disk.starts[index]!] : []));
}

describe('what is stored twice can be found again', () => {
  const cases: readonly (readonly [string, Partial<DiskImageOptions>])[] = [
    ['sectors of 512 bytes', {}],
    ['sectors of 4096 bytes', { sectorSize: 4096 }],
    ['behind 16 MiB of something else', { entriesOffset: 32768, size: 4453302272 + 16 * MIB }],
    ['of 1.10', { version: 'v1.10.0', traits: traitsOf('v1.10.0') }],
    ['of 1.10, sectors of 4096 bytes', { version: 'v1.10.0', traits: traitsOf('v1.10.0'), sectorSize: 4096 }],
  ];
  for (const [name, change] of cases) {
    test(name, () => {
      const disk = buildDisk(dualBoot(), { ...OPTIONS, ...change });
      for (const key of ['kernel', 'initramfs']) {
        const [inUki, inBoot, ...others] = placesOf(disk, key);
        assert.deepEqual(others, []);
        assert.equal(inUki! % SHARING_ALIGNMENT, 0);
        assert.equal(inBoot! % SHARING_ALIGNMENT, 0);
        // What stock zstd decoders reach back; this UKI is 96 MiB.
        assert.ok(inBoot! - inUki! < 2 ** 27, `${key}: ${inBoot! - inUki!} bytes apart`);
      }
    });
  }
});

test('memory does not grow with the content', () => {
  const memory = (parts: DiskParts): number =>
    buildDisk(parts, OPTIONS).extents.reduce((sum, { kind, length }) => sum + (kind === 'memory' ? length : 0), 0);
  assert.ok(memory(dualBoot({ initramfs: 1_500_000_000 })) < 8 * MIB);
});

test('the same parts give the same disk', async () => {
  assert.ok(await equals(buildDisk(dualBoot(), OPTIONS), buildDisk(dualBoot(), OPTIONS)));
});

test('all file systems hold what was given, whatever the sectors', async () => {
  for (const sectorSize of [512, 4096]) {
    const parts = dualBoot();
    assert.ok(parts.bootloader === 'dual-boot');
    const disk = buildDisk(parts, { ...OPTIONS, sectorSize });
    const gpt = await decodeGpt(disk);
    assert.equal(gpt.sectorSize, sectorSize);
    const [efi, boot] = [1, 3].map((index) => {
      const { offset, size } = partitionRange(gpt, gpt.partitions.get(index)!);
      return slice(disk, offset, offset + size);
    });
    const fat = await decodeFat(efi!);
    assert.equal(fat.bootSector.bytesPerSector, sectorSize);
    const uki = fat.tree.byPath.get(`EFI/Linux/Talos-${VERSION}.efi`);
    assert.ok(uki?.kind === 'file' && (await equals(uki.content, parts.systemd.uki)));
    const { tree } = await decodeXfs(boot!);
    for (const [path, content] of [
      ['A/vmlinuz', parts.kernel],
      ['A/initramfs.xz', parts.initramfs],
    ] as const) {
      const entry = tree.byPath.get(path);
      assert.ok(entry?.kind === 'file' && (await equals(entry.content, content)), path);
    }
  }
});

test('an EFI partition takes what fits', async () => {
  // 2101 MiB less two allocation tables of 4200 sectors, reserved sectors, directories, loader and alignment.
  const initramfs = 2_203_058_176 - 2 * 4200 * 512 - 20_000_001 - 120_001 - 4 * 65536;
  buildDisk(sdBoot({ initramfs: initramfs - 65536 }), OPTIONS);
  assert.throws(() => buildDisk(sdBoot({ initramfs: initramfs + 65536 }), OPTIONS), { code: 'install' });
});

describe('parts that do not fit are refused', () => {
  const dual = dualBoot();
  assert.ok(dual.bootloader === 'dual-boot');
  const grub = { bootloader: 'grub', kernel: dual.kernel, initramfs: dual.initramfs, cmdline: 'x' } as const;
  const old = { version: 'v1.9.0', traits: traitsOf('v1.9.0') };
  const cases: readonly (readonly [string, DiskParts, Partial<DiskImageOptions>, ImagerError['code'], RegExp])[] = [
    [
      'a UKI larger than its partition',
      sdBoot({ initramfs: 2_300_000_000 }),
      {},
      'install',
      /^EFI partition of 2203058176 bytes: loader and UKI need \d+$/,
    ],
    [
      'an initramfs larger than BOOT',
      { ...grub, efiCore: new Uint8Array(1), initramfs: unread('i', 1_040_000_000) },
      old,
      'invalid-input',
      /^XFS volume of 1048576000 bytes: the files do not fit, want at least \d+$/,
    ],
    [
      'a core larger than its partition',
      { ...dual, bios: { ...dual.bios, core: new Uint8Array(MIB + 1) } },
      {},
      'install',
      /^GRUB core image: 1048577 bytes, want at most the 1048576 of the BIOS partition$/,
    ],
    [
      'a boot sector of another size',
      { ...dual, bios: { ...dual.bios, bootImage: new Uint8Array(446) } },
      {},
      'invalid-input',
      /^boot\.img: 446 bytes, want 512$/,
    ],
    [
      'a disk that is too small',
      sdBoot(),
      { size: 2 ** 31 },
      'install',
      /^disk of 2147483648 bytes: want at least 2205172736/,
    ],
    [
      'META values that are too large',
      sdBoot(),
      { meta: [{ key: 12, value: 'm'.repeat(262097) }] },
      'invalid-input',
      /^meta values: 262105 bytes with their headers, want at most 262104$/,
    ],
    ['a version that is no file name', sdBoot(), { version: 'v1/2' }, 'invalid-input', /without slashes/],
    ['a version that breaks the menu', dual, { version: 'v1$' }, 'invalid-input', /GRUB can quote/],
    ['a time before 1970', sdBoot(), { epoch: -1 }, 'invalid-input', /^epoch -1: want whole seconds/],
    ['a time after 2106', sdBoot(), { epoch: 2 ** 32 }, 'invalid-input', /^epoch 4294967296: want whole seconds/],
    ['half a second', sdBoot(), { epoch: 0.5 }, 'invalid-input', /^epoch 0.5: want whole seconds/],
    ['sectors no disk has', sdBoot(), { sectorSize: 520 }, 'unsupported', /sector size 520/],
  ];
  for (const [name, parts, change, code, message] of cases) {
    test(name, () => {
      assert.throws(() => buildDisk(parts, { ...OPTIONS, ...change }), { name: ImagerError.name, code, message });
    });
  }
});
