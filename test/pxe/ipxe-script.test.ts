// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE's settings look like that
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIpxeScript } from '../../src/pxe/ipxe-script.ts';
import { runIpxe } from '../support/ipxe.ts';

const LINUX = { kind: 'linux', kernel: 'kernel-amd64', initramfs: 'initramfs-metal-amd64.xz' } as const;

test('kernel and initramfs beside the script', () => {
  const script = formatIpxeScript({ boot: LINUX, cmdline: 'a=b c' });
  assert.equal(
    script,
    '#!ipxe\n\nimgfree\nkernel kernel-amd64 initrd=initramfs-metal-amd64.xz a=b c\ninitrd initramfs-metal-amd64.xz\nboot\n',
  );
});

test('a UKI, elsewhere', () => {
  const boot = { kind: 'uki', uki: 'metal-amd64-secureboot-uki.efi' } as const;
  const script = formatIpxeScript({ boot, cmdline: '#x', baseUrl: 'http://h/d/' });
  const text =
    '#!ipxe\n\nimgfree\nset hash:hex 23\nkernel http://h/d/metal-amd64-secureboot-uki.efi ${hash:string}x\nboot\n';
  assert.equal(script, text);
});

test('no command line at all', () => {
  const images = runIpxe(formatIpxeScript({ boot: LINUX, cmdline: '' }));
  assert.deepEqual(images, [
    ['kernel', 'kernel-amd64', 'initrd=initramfs-metal-amd64.xz'],
    ['initrd', 'initramfs-metal-amd64.xz'],
  ]);
});
