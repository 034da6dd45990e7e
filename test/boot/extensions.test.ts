/** Images with system extensions, started: the guest mounts every extension, says what is in it and loads a module out of one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { filesOf } from '../../scripts/demo/debian-packages.ts';
import { demoPackages } from '../../scripts/demo/image.ts';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { layoutCpio } from '../../src/formats/cpio/layout-cpio.ts';
import { squashTree } from '../../src/formats/squashfs/write.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { DEFAULT_DIRECTORY, type Entry, type Literal, type Tree, treeOf, treeOfLiterals } from '../../src/tree/tree.ts';
import { demoFiles, demoLayout, skipWithoutDemoAssets } from '../support/demo-assets.ts';
import { extensionImage, extensionTree } from '../support/extension-images.ts';
import { attributeLines, attributeReader, TELL_ATTRIBUTES } from '../support/guest-attributes.ts';
import { randomBytes, writeLayout } from '../support/image.ts';
import { startImager } from '../support/imager-process.ts';
import { amdMicrocode, MICROCODE_CPU } from '../support/microcode.ts';
import { bootInQemu, type Firmware, type Medium, skipWithoutQemu } from '../support/qemu.ts';

const skip = skipWithoutDemoAssets() || skipWithoutQemu('seabios', 'ovmf');

const VERSION = 'v1.12.0';
const LABEL = 'system_u:object_r:container_file_t:s0';
const CONFIG = 'apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: node-1\n';
const SERVICE = 'name: pinger\ncontainer:\n  entrypoint: bin/pinger\nrestart: always\n';

const platform = nodePlatform();
let directory = '';
let extensions: readonly Tree[] = [];
let common: readonly string[] = [];

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), 'bootwright-extensions-'));
  const kernel = await kernelFiles();
  extensions = [
    extensionTree(
      { [`usr/lib/modules/${kernel.version}/extras/dummy.ko.xz`]: kernel.modules['dummy.ko.xz']! },
      { name: 'modules' },
    ),
    extensionTree(
      { 'usr/lib/firmware/vendor/a.bin': randomBytes(300_000, 1), 'usr/lib/firmware/vendor/b.bin': { link: 'a.bin' } },
      { name: 'firmware' },
    ),
    extensionTree(
      { 'usr/lib/firmware/amd-ucode/microcode_amd.bin': amdMicrocode(), 'usr/local/share/ucode': 'AMD' },
      { name: 'microcode' },
    ),
    extensionTree(
      {
        'usr/local/etc/containers/pinger.yaml': SERVICE,
        'usr/local/lib/containers/pinger/bin/pinger': randomBytes(2_000_000, 2),
      },
      { name: 'service' },
    ),
    extensionTree({}, { name: 'links' }, linkedFiles()),
  ];
  const references: string[] = [];
  for (const [index, tree] of extensions.entries()) {
    const layout = join(directory, `extension-${index}`);
    await writeLayout(layout, { v1: await extensionImage(tree, 'amd64') });
    references.push(layout);
  }
  const initramfs = join(directory, 'base');
  await writeFile(initramfs, await baseWith(kernel));
  profileOf = (baseProfileName): string =>
    JSON.stringify({
      baseProfileName,
      arch: 'amd64',
      version: VERSION,
      output: { outFormat: 'raw' },
      customization: { embeddedMachineConfiguration: CONFIG, extraKernelArgs: ['rdinit=/guest-init'] },
      input: {
        initramfs: { path: initramfs },
        systemExtensions: references.map((ociPath) => ({ ociPath })),
      },
    });
  common = ['--imager-image', `oci:${await demoLayout()}`, '--store', join(directory, 'store')];
});

after(async () => {
  await platform.close();
  if (directory !== '') await rm(directory, { recursive: true });
});

let profileOf: (baseProfileName: string) => string;

const BOOTS: readonly (readonly [profile: string, Firmware, Extract<Medium['kind'], 'cd' | 'nvme'>])[] = [
  ['iso', 'seabios', 'cd'],
  ['iso', 'ovmf', 'cd'],
  ['metal', 'seabios', 'nvme'],
  ['metal', 'ovmf', 'nvme'],
];

describe('five extensions and a configuration', { skip }, () => {
  const images = new Map<string, Promise<string>>();
  for (const [profile, firmware, kind] of BOOTS) {
    test(`${profile}, ${firmware}`, async (t) => {
      const image = images.get(profile) ?? buildImage(profile);
      images.set(profile, image);
      const medium = { kind, image: await image } as const;
      const { serial, report, seconds } = await bootInQemu({
        firmware,
        medium,
        timeoutSeconds: 400,
        args: ['-cpu', MICROCODE_CPU],
      });
      t.diagnostic(`${seconds.toFixed(1)} s`);
      assert.deepEqual(report.damaged, []);
      const text = Buffer.from(serial, 'latin1').toString('utf8').replaceAll('\r', '');
      for (const [index, tree] of extensions.entries()) assertMounted(text, `${index}.sqsh`, await expectedLines(tree));
      assertMounted(text, '5.sqsh', [`${sumOf(CONFIG)}  ./usr/local/etc/talos/config.yaml`]);
      assert.match(text, /^loaded dummy$/m);
      assert.match(text, /microcode: Updated early from: 0x01000065/);
      const firmwareSum = sumOf(randomBytes(300_000, 1));
      assert.equal(report.extra['/usr/lib/firmware/vendor/a.bin'], firmwareSum);
      assert.equal(report.extra['/usr/lib/firmware/vendor/b.bin'], firmwareSum);
      assert.equal(report.extra['/kernel/x86/microcode/AuthenticAMD.bin'], sumOf(amdMicrocode()));
    });
  }
});

function assertMounted(text: string, image: string, expected: readonly string[]): void {
  const lines =
    new RegExp(`^mounted ${image.replace('.', '\\.')}$([^]*?)^closed$`, 'm').exec(text)?.[1]?.split('\n') ?? [];
  assert.deepEqual(
    expected.filter((line) => !lines.includes(line)),
    [],
    `${image} has ${lines.join('\n')}`,
  );
}

/** Of what stays in the file system: firmware and microcode lie elsewhere. */
async function expectedLines(tree: Tree): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of tree.entries) {
    const path = entry.path.replace(/^rootfs/, '.');
    if (entry.kind !== 'file' || !path.startsWith('./') || path.includes('/firmware/')) continue;
    lines.push(`${sumOf(await read(entry.content))}  ${path}`);
    if (entry.inode !== undefined) lines.push(`links 2 ${path}`);
    lines.push(...attributeLines(entry, path.slice('./'.length)));
  }
  return lines;
}

function sumOf(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function linkedFiles(): Entry[] {
  const inode = Symbol('one file');
  const xattrs = new Map([['security.selinux', new TextEncoder().encode(LABEL)]]);
  const content = ofMemory(randomBytes(100_000, 3));
  return ['usr/local/bin/one', 'usr/local/bin/two'].map((path) => ({
    kind: 'file',
    path,
    ...DEFAULT_DIRECTORY,
    content,
    inode,
    xattrs,
  }));
}

interface KernelFiles {
  readonly version: string;
  /** By file name. */
  readonly modules: Readonly<Record<string, Uint8Array>>;
}

/** Of the kernel that the demonstration image has. */
async function kernelFiles(): Promise<KernelFiles> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const packages = await demoPackages({ cache });
  const kernel = packages.find((path) => /\/linux-image-.*_amd64\.deb$/.test(path))!;
  const files = await filesOf(kernel, /\/(squashfs|loop|dummy)\.ko\.xz$/, directory);
  const [first] = [...files.keys()];
  const version = /lib\/modules\/([^/]+)\//.exec(first ?? '')?.[1];
  assert.ok(version !== undefined);
  const modules = Object.fromEntries([...files].map(([path, data]) => [path.replace(/.*\//, ''), data]));
  return { version, modules };
}

/** An archive with the root file system that modules are looked up in and the first process, then the demonstration's. */
async function baseWith({ version, modules }: KernelFiles): Promise<Uint8Array> {
  const loop = `usr/lib/modules/${version}/kernel/loop.ko.xz`;
  const rootfs = treeOfLiterals({
    [loop]: modules['loop.ko.xz']!,
    [`usr/lib/modules/${version}/modules.order`]: 'kernel/loop.ko\n',
    [`usr/lib/modules/${version}/modules.builtin`]: '',
  });
  const image = await squashTree(rootfs, { compressor: { name: 'zstd', level: 3 }, epoch: 0 }, platform);
  const files: Record<string, Literal> = {
    'rootfs.sqsh': image,
    'lib/guest/squashfs.ko.xz': modules['squashfs.ko.xz']!,
    'lib/guest/loop.ko.xz': modules['loop.ko.xz']!,
    'guest-init': guestInit(version),
    ...Object.fromEntries(await attributeReader(directory)),
  };
  const tree = treeOf(treeOfLiterals(files).entries.map((entry) => ({ ...entry, mode: 0o755 })));
  const own = await platform.compression.zstdFrame(await read(layoutCpio(tree)), 3);
  return Buffer.concat([own, await readFile((await demoFiles('amd64')).initramfs)]);
}

/** Runs before the demonstration's own first process. */
function guestInit(version: string): string {
  return `#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo 1 >/proc/sys/kernel/printk
exec 3>/dev/ttyS0
for module in loop squashfs; do
  xzcat /lib/guest/$module.ko.xz >/tmp/$module.ko && insmod /tmp/$module.ko
done
busybox dmesg | grep -i microcode >&3
modules=/lib/modules/${version}
busybox mkdir -p /mnt $modules/extras
cd /
for image in *.sqsh; do
  [ $image = rootfs.sqsh ] && continue
  printf '\\nmounted %s\\n' $image >&3
  mount -t squashfs -o ro,loop /$image /mnt || continue
  cd /mnt
  find . -type f | sort | while read -r file; do
    sha256sum "$file"
    echo "links $(busybox stat -c %h "$file") $file"
  done >&3
  ${TELL_ATTRIBUTES} >&3
  [ -d usr/lib/modules ] && busybox cp -r usr/lib/modules/* /lib/modules/
  cd /
  busybox umount /mnt
  echo closed >&3
done
busybox modprobe dummy && grep -q '^dummy ' /proc/modules && echo 'loaded dummy' >&3
busybox rm -r $modules
exec /init
`;
}

async function buildImage(profile: string): Promise<string> {
  const output = join(directory, profile);
  const stdin = join(directory, `${profile}.json`);
  await writeFile(stdin, profileOf(profile));
  const { finished } = startImager(['-', ...common, '--output', output, '--quiet'], {
    before: `exec <"${stdin}"`,
  });
  const { code, stderr } = await finished;
  assert.equal(code, 0, stderr);
  const [name] = await readdir(output);
  return join(output, name!);
}
