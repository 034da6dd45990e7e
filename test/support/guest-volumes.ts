/** A guest with the kernel of the demonstration image mounts file systems, says what is in them, and writes to them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { filesOf } from '../../scripts/demo/debian-packages.ts';
import { demoPackages } from '../../scripts/demo/image.ts';
import { read } from '../../src/bytes/read.ts';
import type { Entry, Tree } from '../../src/tree/tree.ts';
import { demoFiles, skipWithoutDemoAssets } from './demo-assets.ts';
import { attributeLines, attributeReader, TELL_ATTRIBUTES } from './guest-attributes.ts';
import { bootSerial, skipWithoutQemu } from './qemu.ts';
import { skipWithout } from './tools.ts';

/** A `skip` option. */
export function skipWithoutGuestVolumes(): string | false {
  return skipWithoutDemoAssets() || skipWithoutQemu('seabios') || skipWithout('cpio');
}

export interface GuestVolume {
  /** Path of the image, which the guest changes. */
  readonly image: string;
  /** Bytes: of the disk it is on. */
  readonly sectorSize: number;
  /** Number of the partition that has the file system; without one it is the whole disk. */
  readonly partition?: number;
  /** In place of that of all. */
  readonly fileSystem?: string;
  /** Nothing is written to it. */
  readonly readOnly?: boolean;
}

export interface GuestOptions {
  /** As `mount` names it. */
  readonly fileSystem: string;
  /** Of the kernel, in the order of their loading; NVMe is built in. */
  readonly modules?: readonly string[];
  /** A directory for what the guest starts from. */
  readonly scratch: string;
}

/** What each volume gives `linesOf` entries to compare with; `WRITTEN` is there then, `REMOVED` no more. The last line is `closed`. */
export async function mountInGuest(volumes: readonly GuestVolume[], options: GuestOptions): Promise<string[][]> {
  const { vmlinuz, initramfs } = await demoFiles('amd64');
  const serial = await bootSerial({
    program: 'qemu-system-x86_64',
    args: [
      ...['-machine', 'q35', '-m', '1024', '-nic', 'none', '-kernel', vmlinuz, '-append', 'console=ttyS0 quiet'],
      // The emulator of QEMU 7.2 spoils the flags after a 16-byte compare and exchange, and the kernel with them.
      ...['-cpu', 'qemu64,-cx16'],
      ...['-initrd', await guestInitramfs(initramfs, volumes, options)],
      ...volumes.flatMap(({ image, sectorSize }, index) => [
        ...['-drive', `if=none,id=volume${index},format=raw,file=${image}`],
        ...['-device', nvme(index, sectorSize)],
      ]),
    ],
    timeout: 300_000,
    until: /^volumes end|Kernel panic/m,
  });
  // The port is read byte by byte.
  const text = Buffer.from(serial, 'latin1').toString('utf8').replaceAll('\r', '');
  const reports = text.split(/^volume \d\n/m).slice(1);
  if (reports.length !== volumes.length) throw new Error(`${reports.length} of ${volumes.length} volumes:\n${serial}`);
  return reports.map((report) => report.split('\n'));
}

/** A file that the guest writes, and directories that it removes, in a tree that has `hard`. */
export const WRITTEN = 'hard/written by the guest 9';
export const REMOVED: readonly string[] = ['counts', 'attributes'];

function init(volumes: readonly GuestVolume[], { fileSystem, modules = [] }: GuestOptions): string {
  const calls = volumes.map((volume, index) => {
    const partition = volume.partition === undefined ? '' : `p${volume.partition}`;
    const mode = volume.readOnly === true ? 'ro' : 'rw';
    return `look ${index} "${partition}" ${volume.fileSystem ?? fileSystem} ${mode}\n`;
  });
  return `#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo 4 >/proc/sys/kernel/printk
exec >/dev/ttyS0 2>&1
for module in ${modules.join(' ')}; do
  xzcat /lib/volumes/$module.ko.xz >/tmp/$module.ko && insmod /tmp/$module.ko
done
busybox mkdir /mnt
# Controllers are probed side by side: which of them is nvme0 is a matter of luck.
device_of() {
  for serial in /sys/block/nvme*/device/serial; do
    read -r found <$serial && [ "$found" = volume$1 ] || continue
    disk=\${serial#/sys/block/}
    echo /dev/\${disk%%/*}$2
  done
}
look() {
  echo "volume $1"
  # Disks and their partitions are found while this runs.
  for try in 1 2 3 4 5 6 7 8 9; do [ -b "$(device_of $1 $2)" ] || sleep 1; done
  mount -t $3 -o $4 "$(device_of $1 $2)" /mnt || return
  cd /mnt
  find . -exec busybox stat -c '%f %u %g %Y %n' {} +
  find . -type f -exec sha256sum {} +
  ${TELL_ATTRIBUTES}
  find . -type l | while read -r link; do echo "link $(busybox readlink "$link") $link"; done
  if [ $4 = rw ]; then
    for name in 1 2 3 4 5 6 7 8 9; do echo "$name" >"hard/written by the guest $name"; done
    rm -r ${REMOVED.join(' ')}
  fi
  cd /
  busybox umount /mnt && echo "closed"
}
${calls.join('')}echo "volumes end"
poweroff -f
`;
}

function nvme(index: number, sectorSize: number): string {
  return `nvme,serial=volume${index},drive=volume${index},logical_block_size=${sectorSize},physical_block_size=${sectorSize}`;
}

/** Asserts that a guest found every entry of the tree as it is, and let go of the volume. */
export async function assertFound(report: readonly string[], tree: Tree, volume: string): Promise<void> {
  const lines = new Set(report);
  const expected = await guestLines(tree);
  assert.deepEqual(
    expected.filter((line) => !lines.has(line)),
    [],
    volume,
  );
  assert.ok(lines.has('closed'), report.join('\n'));
}

/** What stat, sha256sum, readlink and getfattr say about all entries. */
export async function guestLines(tree: Tree): Promise<string[]> {
  return (await Promise.all(tree.entries.map(linesOf))).flat();
}

async function linesOf(entry: Entry): Promise<string[]> {
  const path = entry.path === '' ? '.' : `./${entry.path}`;
  const type = { file: 8, directory: 4, symlink: 10, character: 2, block: 6, fifo: 1 }[entry.kind];
  const mode = ((type << 12) | entry.mode).toString(16);
  const lines = [`${mode} ${entry.uid} ${entry.gid} ${entry.mtime} ${path}`];
  if (entry.kind === 'file') {
    const sum = createHash('sha256').update(await read(entry.content));
    lines.push(`${sum.digest('hex')}  ${path}`);
  }
  if (entry.kind === 'symlink') lines.push(`link ${entry.target} ${path}`);
  return [...lines, ...attributeLines(entry, entry.path === '' ? '.' : entry.path)];
}

/** The demonstration's initramfs, then an archive whose `init` takes the place of its own. */
async function guestInitramfs(
  initramfs: string,
  volumes: readonly GuestVolume[],
  options: GuestOptions,
): Promise<string> {
  const { modules = [], scratch } = options;
  const root = join(scratch, 'root');
  const files = new Map<string, Uint8Array | string>([
    ['init', init(volumes, options)],
    ...(await attributeReader(scratch)),
    ...[...(await kernelModules(modules, scratch))].map(([name, data]) => [`lib/volumes/${name}`, data] as const),
  ]);
  const directories = ['lib', 'lib/attributes', 'lib/volumes'];
  for (const directory of directories) mkdirSync(join(root, directory), { recursive: true });
  for (const [path, data] of files) writeFileSync(join(root, path), data, { mode: 0o755 });
  const names = [...directories, ...files.keys()].join('\n');
  const archive = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
    cwd: root,
    input: `${names}\n`,
    maxBuffer: 1 << 26,
  });
  const own = readFileSync(initramfs);
  const padding = Buffer.alloc((4 - (own.length % 4)) % 4);
  const path = join(scratch, 'initramfs');
  writeFileSync(path, Buffer.concat([own, padding, archive]));
  return path;
}

/** Files of the kernel's package, by name. */
async function kernelModules(modules: readonly string[], scratch: string): Promise<Map<string, Uint8Array>> {
  if (modules.length === 0) return new Map();
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const packages = await demoPackages({ cache });
  const kernel = packages.find((path) => /\/linux-image-.*_amd64\.deb$/.test(path))!;
  const files = await filesOf(kernel, new RegExp(`/(${modules.join('|')})\\.ko\\.xz$`), scratch);
  return new Map([...files].map(([path, data]) => [path.replace(/.*\//, ''), data]));
}
