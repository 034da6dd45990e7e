import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import { parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { type Plan, planBuild } from '../../src/pipeline/plan.ts';
import type { Transport, Workplace } from '../../src/pipeline/workplace.ts';
import { completeProfile } from '../../src/profiles/complete.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { digestOf, testIndex, writeLayout } from '../support/image.ts';
import { assetFiles, assetImage, EPOCH, testRequest, testWorkplace, untouchablePlatform } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';

const NOWHERE: Workplace = { platform: untouchablePlatform(), store: '/nonexistent/store', transport: {} };

/** Unresolved, on a machine that must not be touched. */
function planned(
  given: GivenProfile = {},
  more: Parameters<typeof testRequest>[1] = {},
  transport: Transport = {},
): Promise<Plan> {
  return planBuild({ ...NOWHERE, transport }, testRequest(given, more), { resolve: false });
}

const KERNEL_ONLY: GivenProfile = { output: { kind: 'kernel' } };
const LOCAL_KERNEL: GivenProfile = { ...KERNEL_ONLY, input: { kernel: { path: '/k' } } };

describe('without resolving', () => {
  test('everything is decided, and neither files, network nor programs are touched', async () => {
    const plan = await planned({ customization: { extraKernelArgs: ['quiet'] } });
    assert.deepEqual(plan.inputs, [
      { role: 'imager-image', reference: 'ghcr.io/siderolabs/imager:v1.13.0', digest: null },
    ]);
    assert.deepEqual(plan.outputs, [{ path: 'metal-arm64.iso', kind: 'iso', format: 'raw' }]);
    assert.deepEqual(plan.hosts, ['ghcr.io']);
    assert.equal(plan.epoch, EPOCH);
    assert.match(plan.cmdline, /^talos\.platform=metal .* quiet$/);
    assert.deepEqual(plan.warnings, []);
    assert.deepEqual(plan.unsupported, []);
  });

  test('own files and GRUB directories are inputs beside the image', async () => {
    const plan = await planned(
      { arch: 'amd64', input: { kernel: { path: 'my/vmlinuz' } } },
      { assets: 'oci:/a:v1', grubDirectory: '/grub' },
    );
    assert.deepEqual(plan.inputs, [
      { role: 'imager-image', reference: 'oci:/a:v1', digest: null },
      { role: 'kernel', path: 'my/vmlinuz', digest: null },
      { role: 'grub', path: '/grub', digest: null },
    ]);
  });

  test('no image is named when nothing comes from it', async () => {
    assert.deepEqual((await planned(LOCAL_KERNEL)).inputs, [{ role: 'kernel', path: '/k', digest: null }]);
    assert.deepEqual((await planned({ output: { kind: 'cmdline' } })).inputs, []);
    const fromDirectory = await planned(KERNEL_ONLY, { assets: 'dir:/a' });
    assert.deepEqual(fromDirectory.inputs, [{ role: 'kernel', path: '/a/usr/install/arm64/vmlinuz', digest: null }]);
  });

  test('a plan is JSON', async () => {
    const options = new Map<string | number, bigint | string>([
      [1, 2n ** 60n],
      ['name', 'value'],
    ]);
    const overlay = { name: 'board', image: { imageRef: 'example.org/board:v1' }, options };
    const plan = await planned({ overlay: overlay as never });
    assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan);
    assert.deepEqual(plan.profile.overlay?.options, { 1: '1152921504606846976', name: 'value' });
    assert.deepEqual(completeProfile(plan.profile), plan.profile);
  });
});

describe('hosts', () => {
  const cases: readonly (readonly [string, Parameters<typeof planned>, readonly string[]])[] = [
    ['the registry', [{}, { assets: 'registry.example:5000/imager' }], ['registry.example:5000']],
    ['Docker Hub by its name', [{}, { assets: 'team/imager:v1' }], ['index.docker.io']],
    [
      'mirrors first',
      [{}, {}, { mirrors: parseMirrors(['ghcr.io=https://one.example/ghcr', 'ghcr.io=two.example:5000']) }],
      ['one.example', 'two.example:5000', 'ghcr.io'],
    ],
    [
      'no fallback where there is none',
      [{}, {}, { mirrors: { 'ghcr.io': { endpoints: [{ url: 'https://one.example' }], skipFallback: true } } }],
      ['one.example'],
    ],
    ['a mirror for another registry', [{}, {}, { mirrors: parseMirrors(['quay.io=one.example']) }], ['ghcr.io']],
    ['offline nobody', [{}, {}, { offline: true }], []],
    ['for a layout nobody', [{}, { assets: 'oci:/a' }], []],
    ['for a directory nobody', [{}, { assets: 'dir:/a' }], []],
    ['for own files nobody', [LOCAL_KERNEL], []],
    ['for a command line nobody', [{ output: { kind: 'cmdline' } }], []],
  ];
  for (const [name, request, expected] of cases) {
    test(name, async () => assert.deepEqual((await planned(...request)).hosts, expected));
  }
});

describe('what is checked before anything is fetched', () => {
  const meta = (value: string): GivenProfile => ({ customization: { metaContents: [{ key: 0xa, value }] } });

  test('the epoch', async () => {
    for (const epoch of [-1, 1.5, 2 ** 32, Number.NaN]) {
      await assert.rejects(planned({}, { epoch }), { code: 'invalid-input', message: /^epoch / });
    }
  });

  test('the reference, offline too', async () => {
    for (const transport of [{}, { offline: true }]) {
      await assert.rejects(planned({}, { assets: 'ghcr.io/UPPER/imager' }, transport), {
        code: 'invalid-input',
        message: /image reference "ghcr\.io\/UPPER\/imager"/,
      });
    }
  });

  test('a network document, with file and line', async () => {
    const request = testRequest(meta('addresses:\n  - adress: 192.0.2.1/24\n'), {
      metaOrigins: [{ meta: { key: 0xa, value: 'addresses:\n  - adress: 192.0.2.1/24\n' }, origin: 'net.yaml' }],
    });
    await assert.rejects(planBuild(NOWHERE, request, { resolve: false }), {
      code: 'invalid-input',
      message: /net\.yaml:2:5: .*adress/,
    });
    const plan = await planBuild(NOWHERE, { ...request, skipNetworkCheck: true }, { resolve: false });
    assert.deepEqual(plan.meta, [{ key: 0xa, value: 'addresses:\n  - adress: 192.0.2.1/24\n' }]);
    await assert.rejects(planned(meta('addresses: 1')), { message: /^meta value 0xa:1:/ });
  });

  test('META values the command line cannot carry', async () => {
    const metaContents = [{ key: 0xc, value: 'a;b' }];
    await assert.rejects(planned({ customization: { metaContents } }), { code: 'invalid-input' });
  });

  test('control bytes in META values, tab and line breaks apart', async () => {
    const withValue = (value: string): GivenProfile => ({ customization: { metaContents: [{ key: 0xc, value }] } });
    await planned(withValue('a\tb\r\nc'));
    for (const byte of ['\0', '\x1b', '\x7f']) {
      const message = new RegExp(
        `^meta value 0xc: control byte 0x${byte.charCodeAt(0).toString(16).padStart(2, '0')} at character 2`,
      );
      await assert.rejects(planned(withValue(`a${byte}`)), { code: 'invalid-input', message });
    }
  });

  test('kernel arguments', async () => {
    await assert.rejects(planned({ customization: { extraKernelArgs: ['a="b'] } }), { code: 'invalid-input' });
  });

  test('warnings of every kind, none twice', async () => {
    const plan = await planned({
      version: 'v1.11.0',
      customization: {
        embeddedMachineConfiguration:
          'apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: log\nurl: tcp://10.0.0.1:5000\n',
        extraKernelArgs: ['-nothing', 'talos.platfrom=aws'],
        metaContents: [{ key: 0xa, value: '# nothing in it\n' }],
      },
    });
    const expected = [
      /Talos "v1\.11\.0" does not read an embedded machine configuration/,
      /meta value 0xa:1:1: no settings/,
      /kernel argument talos\.platfrom=aws: .*did you mean talos\.platform/,
      /kernel argument "-nothing" removes nothing/,
    ];
    assert.equal(plan.warnings.length, expected.length, plan.warnings.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(plan.warnings[index]!, pattern);
  });
});

const KEYS_ELSEWHERE: GivenProfile = {
  baseProfileName: 'secureboot-iso',
  input: { secureboot: { secureBootSigner: { awsKMSKeyID: 'k' } } },
};

describe('what this release cannot build is said, and the rest planned', () => {
  const cases: readonly (readonly [string, GivenProfile, readonly RegExp[]])[] = [
    ['keys in files', { baseProfileName: 'secureboot-iso' }, []],
    ['keys elsewhere', KEYS_ELSEWHERE, [/^signer input\.secureboot\.secureBootSigner\.awsKMSKeyID, .*: not/]],
    ['nothing of it in a command line', { ...KEYS_ELSEWHERE, output: { kind: 'cmdline' } }, []],
    [
      'certificates of others',
      { baseProfileName: 'secureboot-iso', input: { secureboot: { includeWellKnownCerts: true } } },
      [/^input\.secureboot\.includeWellKnownCerts, want PK, KEK and db/],
    ],
  ];
  for (const [name, given, expected] of cases) {
    test(name, async () => {
      const { unsupported } = await planned({ platform: 'metal', ...given });
      assert.equal(unsupported.length, expected.length, unsupported.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(unsupported[index]!, pattern);
    });
  }
});

describe('names of outputs', () => {
  const cases: readonly (readonly [GivenProfile, string, string])[] = [
    [{}, 'metal-arm64.iso', 'raw'],
    [{ baseProfileName: 'secureboot-iso' }, 'metal-arm64-secureboot.iso', 'raw'],
    [{ output: { kind: 'uki' } }, 'metal-arm64-uki.efi', 'raw'],
    [{ output: { kind: 'kernel' } }, 'kernel-arm64', 'raw'],
    [{ output: { kind: 'initramfs' } }, 'initramfs-metal-arm64.xz', 'raw'],
    [{ output: { kind: 'cmdline' } }, 'cmdline-metal-arm64', 'raw'],
    [{ baseProfileName: 'oracle' }, 'oracle-arm64.qcow2.zst', 'qcow2'],
  ];
  for (const [given, path, format] of cases) {
    test(path, async () => {
      const [output] = (await planned(given)).outputs;
      assert.deepEqual([output?.path, output?.format], [path, format]);
    });
  }
});

describe('resolving', () => {
  test('an image becomes the digest of its manifest for the architecture; no layer is fetched', async () => {
    await using workplace = await testWorkplace();
    const files = assetFiles();
    const [amd64, arm64] = [await assetImage(files, 'amd64'), await assetImage(files, 'arm64')];
    const registry = await startRegistry();
    try {
      registry.serve('team/imager', 'v1', testIndex([amd64, arm64]));
      const request = testRequest({}, { assets: `${registry.host}/team/imager:v1` });
      const plan = await planBuild(workplace, request, { resolve: true });
      assert.deepEqual(plan.inputs, [
        { role: 'imager-image', reference: `${registry.host}/team/imager:v1`, digest: digestOf(arm64.manifest) },
      ]);
      assert.deepEqual(plan.hosts, [registry.host]);
      assert.deepEqual(
        registry.requests.filter(({ url }) => url.includes('/blobs/')),
        [],
      );
    } finally {
      await registry.close();
    }
  });

  test('files become the digest of their content', async () => {
    await using workplace = await testWorkplace();
    const path = join(workplace.directory, 'vmlinuz');
    await writeFile(path, 'a kernel');
    const request = testRequest({ ...KERNEL_ONLY, input: { kernel: { path } } });
    const plan = await planBuild(workplace, request, { resolve: true });
    assert.deepEqual(plan.inputs, [{ role: 'kernel', path, digest: digestOf('a kernel') }]);
  });

  test('all files that are not there are named', async () => {
    await using workplace = await testWorkplace();
    const install = join(workplace.directory, 'usr/install/arm64');
    await mkdir(join(install, 'initramfs.xz'), { recursive: true });
    await writeFile(join(install, 'systemd-stub.efi'), '');
    const request = testRequest({}, { assets: `dir:${workplace.directory}` });
    await assert.rejects(planBuild(workplace, request, { resolve: true }), {
      code: 'io',
      message: `no file ${install}/vmlinuz, file ${install}/initramfs.xz, file ${install}/systemd-boot.efi on this machine`,
    });
  });

  test('an image for other architectures only', async () => {
    await using workplace = await testWorkplace();
    await writeLayout(workplace.directory, { v1: await assetImage(assetFiles(), 'amd64') });
    const request = testRequest({}, { assets: `oci:${workplace.directory}:v1` });
    await assert.rejects(planBuild(workplace, request, { resolve: true }), {
      code: 'dependency',
      message: /no image for linux\/arm64, it has linux\/amd64$/,
    });
  });

  test('a name the layout does not have', async () => {
    await using workplace = await testWorkplace();
    await writeLayout(workplace.directory, { v1: await assetImage({ a: '' }) });
    const request = testRequest({}, { assets: `oci:${workplace.directory}:v2` });
    await assert.rejects(planBuild(workplace, request, { resolve: true }), {
      code: 'dependency',
      message: /no image named "v2", it has v1/,
    });
  });

  test('offline a registry is not asked, and what the store has not is an error', async () => {
    await using workplace = await testWorkplace({ transport: { offline: true } });
    const platform = { ...workplace.platform, http: untouchablePlatform().http };
    await assert.rejects(planBuild({ ...workplace, platform }, testRequest(), { resolve: true }), {
      code: 'dependency',
      message: /^ghcr\.io\/siderolabs\/imager:v1\.13\.0: not in the store .*, and offline there is no other place$/,
      hint: /--imager-image oci:DIR/,
    });
  });

  test('stops when it is told to', async () => {
    const stop = new AbortController();
    await using workplace = await testWorkplace({ signal: stop.signal });
    const path = join(workplace.directory, 'vmlinuz');
    await writeFile(path, 'a kernel');
    stop.abort();
    const request = testRequest({ ...KERNEL_ONLY, input: { kernel: { path } } });
    await assert.rejects(
      planBuild(workplace, request, { resolve: true }),
      (error) => error instanceof ImagerError && error.code === 'canceled',
    );
  });
});
