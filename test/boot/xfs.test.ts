/** Another kernel than this machine's, the one of the demonstration image, mounts our XFS volumes, reads all of them and writes to them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { filesOf } from '../../scripts/demo/debian-packages.ts';
import { demoPackages } from '../../scripts/demo/image.ts';
import { ofSource } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { MIB } from '../../src/bytes/units.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { guidOfLabel } from '../../src/formats/gpt/guid.ts';
import { decodeXfs } from '../../src/formats/xfs/decode.ts';
import type { FeatureSet } from '../../src/formats/xfs/features.ts';
import { layoutXfs } from '../../src/formats/xfs/layout.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Entry } from '../../src/tree/tree.ts';
import { skipWithoutDebianPrograms } from '../support/debian-programs.ts';
import { demoFiles, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { bootSerial, skipWithoutQemu } from '../support/qemu.ts';
import { skipWithout } from '../support/tools.ts';
import { complaintsOf, xfsPrograms } from '../support/xfs-programs.ts';
import { EPOCH, oddTree } from '../support/xfs-trees.ts';

const VOLUMES: readonly (readonly [FeatureSet, number])[] = [
  ['lts_6.1', 512],
  ['lts_6.12', 4096],
  ['lts_6.18', 512],
  ['lts_6.18', 4096],
];

const skip =
  skipWithoutDemoAssets() || skipWithoutDebianPrograms() || skipWithoutQemu('seabios') || skipWithout('cpio');

/** Modules of the demonstration's kernel; NVMe is built in. */
const MODULES = ['libcrc32c', 'xfs'];

const INIT = `#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo 4 >/proc/sys/kernel/printk
exec >/dev/ttyS0 2>&1
for module in ${MODULES.join(' ')}; do
  xzcat /lib/xfs/$module.ko.xz >/tmp/$module.ko && insmod /tmp/$module.ko
done
busybox mkdir /mnt
for volume in ${VOLUMES.map((_, index) => index).join(' ')}; do
  echo "volume $volume"
  mount -t xfs /dev/nvme\${volume}n1 /mnt || continue
  cd /mnt
  find . -exec busybox stat -c '%f %u %g %Y %n' {} +
  find . -type f -exec sha256sum {} +
  find . -type l | while read -r link; do echo "link $(busybox readlink "$link") $link"; done
  for name in 1 2 3 4 5 6 7 8 9; do echo "$name" >"hard/written by the guest $name"; done
  rm -r counts attributes
  cd /
  busybox umount /mnt && echo "closed"
done
echo "xfs end"
poweroff -f
`;

test('a guest mounts our volumes, reads and writes them', { skip }, async (t) => {
  const platform = nodePlatform();
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-xfs-boot-'));
  t.after(async () => {
    rmSync(directory, { recursive: true });
    await platform.close();
  });
  const tree = oddTree();
  const images: string[] = [];
  for (const [index, [features, sectorSize]] of VOLUMES.entries()) {
    const options = { label: 'BOOT', uuid: guidOfLabel(`volume ${index}`), features, epoch: EPOCH, sectorSize };
    images.push(join(directory, `${index}.img`));
    await writeToFile(platform.files, images[index]!, layoutXfs(tree, 300 * MIB, options).bytes);
  }
  const { vmlinuz, initramfs } = await demoFiles('amd64');
  const serial = await bootSerial({
    program: 'qemu-system-x86_64',
    args: [
      ...['-machine', 'q35', '-m', '1024', '-nic', 'none', '-kernel', vmlinuz, '-append', 'console=ttyS0 quiet'],
      // The emulator of QEMU 7.2 spoils the flags after a 16-byte compare and exchange, and the kernel with them.
      ...['-cpu', 'qemu64,-cx16'],
      ...['-initrd', await initramfsWithXfs(initramfs, directory)],
      ...images.flatMap((image, index) => [
        ...['-drive', `if=none,id=volume${index},format=raw,file=${image}`],
        ...['-device', nvme(index, VOLUMES[index]![1])],
      ]),
    ],
    timeout: 300_000,
    until: /^xfs end|Kernel panic/m,
  });
  // The port is read byte by byte.
  const reports = Buffer.from(serial, 'latin1')
    .toString('utf8')
    .replaceAll('\r', '')
    .split(/^volume \d\n/m)
    .slice(1);
  assert.equal(reports.length, VOLUMES.length, serial);
  const expected = await Promise.all(tree.entries.map(linesOf));
  const programs = await xfsPrograms();
  for (const [index, report] of reports.entries()) {
    const lines = new Set(report.split('\n'));
    assert.deepEqual(
      expected.flat().filter((line) => !lines.has(line)),
      [],
    );
    assert.ok(lines.has('closed'), report);
    assert.deepEqual(complaintsOf(programs, images[index]!), []);
    const { tree: back } = await decodeXfs(ofSource(await platform.files.source(images[index]!)));
    assert.ok(back.byPath.has('hard/written by the guest 9') && !back.byPath.has('counts'));
  }
});

function nvme(index: number, sectorSize: number): string {
  return `nvme,serial=volume${index},drive=volume${index},logical_block_size=${sectorSize},physical_block_size=${sectorSize}`;
}

/** What stat, sha256sum and readlink say about an entry. */
async function linesOf(entry: Entry): Promise<string[]> {
  const path = entry.path === '' ? '.' : `./${entry.path}`;
  const type = { file: 8, directory: 4, symlink: 10, character: 2, block: 6, fifo: 1 }[entry.kind];
  const mode = ((type << 12) | entry.mode).toString(16);
  const lines = [`${mode} ${entry.uid} ${entry.gid} ${entry.mtime} ${path}`];
  if (entry.kind === 'file') {
    lines.push(
      `${createHash('sha256')
        .update(await read(entry.content))
        .digest('hex')}  ${path}`,
    );
  }
  if (entry.kind === 'symlink') lines.push(`link ${entry.target} ${path}`);
  return lines;
}

/** The demonstration's initramfs, then an archive whose `init` takes the place of its own. */
async function initramfsWithXfs(initramfs: string, directory: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const packages = await demoPackages({ cache });
  const kernel = packages.find((path) => /\/linux-image-.*_amd64\.deb$/.test(path))!;
  const modules = await filesOf(kernel, new RegExp(`/(${MODULES.join('|')})\\.ko\\.xz$`), directory);
  const root = join(directory, 'root');
  mkdirSync(join(root, 'lib/xfs'), { recursive: true });
  for (const [path, data] of modules) writeFileSync(join(root, 'lib/xfs', path.replace(/.*\//, '')), data);
  writeFileSync(join(root, 'init'), INIT);
  chmodSync(join(root, 'init'), 0o755);
  const names = ['init', 'lib', 'lib/xfs', ...MODULES.map((name) => `lib/xfs/${name}.ko.xz`)].join('\n');
  const archive = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: root, input: `${names}\n` });
  const own = readFileSync(initramfs);
  const padding = Buffer.alloc((4 - (own.length % 4)) % 4);
  const path = join(directory, 'initramfs');
  writeFileSync(path, Buffer.concat([own, padding, archive]));
  return path;
}
