import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { placeAssets } from '../../src/pipeline/asset-places.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { testRequest, VERSION } from '../support/pipeline.ts';

/** `role where path` per asset, in order. */
function placed(given: GivenProfile, more: Parameters<typeof testRequest>[1] = {}): string[] {
  return placeAssets(testRequest(given, more)).places.map(({ role, in: where, path }) => `${role} ${where} ${path}`);
}

const INSTALL = '/usr/install/amd64';
const KERNEL = `kernel image ${INSTALL}/vmlinuz`;
const INITRAMFS = `initramfs image ${INSTALL}/initramfs.xz`;
const STUB = `systemd-stub image ${INSTALL}/systemd-stub.efi`;
const BOOT = `systemd-boot image ${INSTALL}/systemd-boot.efi`;
const GRUB = 'grub image /usr/lib/grub';

describe('what an output is made of', () => {
  const iso = (bootloader: 'dual-boot' | 'sd-boot' | 'grub'): GivenProfile => ({
    output: { kind: 'iso', isoOptions: { bootloader } },
  });
  const cases: readonly (readonly [string, GivenProfile, readonly string[]])[] = [
    ['iso', {}, [KERNEL, INITRAMFS, STUB, BOOT, GRUB]],
    ['iso, dual-boot', iso('dual-boot'), [KERNEL, INITRAMFS, STUB, BOOT, GRUB]],
    ['iso, sd-boot', iso('sd-boot'), [KERNEL, INITRAMFS, STUB, BOOT]],
    ['iso, grub', iso('grub'), [KERNEL, INITRAMFS, GRUB]],
    ['iso before 1.10', { version: 'v1.9.0' }, [KERNEL, INITRAMFS, GRUB]],
    ['iso of 1.10', { version: 'v1.10.0' }, [KERNEL, INITRAMFS, STUB, BOOT, GRUB]],
    ['secure boot iso', { baseProfileName: 'secureboot-iso' }, [KERNEL, INITRAMFS, STUB, BOOT]],
    ['uki', { output: { kind: 'uki' } }, [KERNEL, INITRAMFS, STUB]],
    ['kernel', { output: { kind: 'kernel' } }, [KERNEL]],
    ['initramfs', { output: { kind: 'initramfs' } }, [INITRAMFS]],
    ['cmdline', { output: { kind: 'cmdline' } }, []],
    ['disk image', { baseProfileName: 'metal' }, [KERNEL, INITRAMFS, STUB, BOOT, GRUB]],
    ['disk image before 1.10', { baseProfileName: 'metal', version: 'v1.9.0' }, [KERNEL, INITRAMFS, GRUB]],
    ['secure boot disk image', { baseProfileName: 'secureboot-metal' }, [KERNEL, INITRAMFS, STUB, BOOT]],
    ['installer', { baseProfileName: 'installer' }, [KERNEL, INITRAMFS, STUB, BOOT]],
    ['installer before 1.10', { baseProfileName: 'installer', version: 'v1.9.0' }, [KERNEL, INITRAMFS]],
    [
      'secure boot installer before 1.10',
      { baseProfileName: 'secureboot-installer', version: 'v1.9.0' },
      [KERNEL, INITRAMFS, STUB, BOOT],
    ],
  ];
  for (const [name, given, expected] of cases) {
    test(name, () => assert.deepEqual(placed({ arch: 'amd64', ...given }), expected));
  }

  test('a hybrid ISO for arm64 has no GRUB, since there is no BIOS', () => {
    const roles = placeAssets(testRequest({ arch: 'arm64', version: 'v1.11.0' })).places.map(({ role }) => role);
    assert.deepEqual(roles, ['kernel', 'initramfs', 'systemd-stub', 'systemd-boot']);
  });
});

describe('where it lies', () => {
  const amd64 = { arch: 'amd64' } as const;

  test('in the imager image of the version, unless told', () => {
    const wanted = { kind: 'registry', reference: `ghcr.io/siderolabs/imager:${VERSION}` };
    assert.deepEqual(placeAssets(testRequest(amd64)).source, wanted);
    const { source } = placeAssets(testRequest(amd64, { assets: 'oci:/a' }));
    assert.deepEqual(source, { kind: 'layout', directory: '/a' });
  });

  test('a path of the user is a file of the user', () => {
    assert.deepEqual(placed({ ...amd64, input: { kernel: { path: 'my/vmlinuz' } } }), [
      'kernel machine my/vmlinuz',
      INITRAMFS,
      STUB,
      BOOT,
      GRUB,
    ]);
  });

  test('the default path of the other architecture is one too', () => {
    const path = '/usr/install/arm64/vmlinuz';
    assert.equal(placed({ ...amd64, input: { kernel: { path } } })[0], `kernel machine ${path}`);
  });

  test('a directory of assets is on this machine, under the paths of an image', () => {
    const places = placed(amd64, { assets: 'dir:/srv' });
    assert.deepEqual(
      places,
      [KERNEL, INITRAMFS, STUB, BOOT, GRUB].map((one) => one.replace(' image ', ' machine /srv')),
    );
  });

  test('GRUB from a directory of its own', () => {
    assert.equal(placed(amd64, { grubDirectory: '/opt/grub' }).at(-1), 'grub machine /opt/grub');
    assert.equal(placed(amd64, { grubDirectory: '/opt/grub', assets: 'dir:/srv' }).at(-1), 'grub machine /opt/grub');
  });

  test('when nothing else comes from an image, GRUB does not either, unless an image was named', () => {
    const input = {
      kernel: { path: '/k' },
      initramfs: { path: '/i' },
      sdStub: { path: '/s' },
      sdBoot: { path: '/b' },
    };
    assert.equal(placed({ ...amd64, input }).at(-1), 'grub machine /usr/lib/grub');
    assert.equal(placed({ ...amd64, input }, { assets: 'oci:/a' }).at(-1), GRUB);
  });
});
