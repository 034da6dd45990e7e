import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chunks } from '../../src/bytes/read.ts';
import type { Digest } from '../../src/bytes/units.ts';
import { parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { build } from '../../src/pipeline/build.ts';
import { type Plan, planBuild } from '../../src/pipeline/plan.ts';
import { planDigest } from '../../src/pipeline/plan-digest.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { digestOf, writeLayout } from '../support/image.ts';
import {
  assetFiles,
  assetImage,
  EPOCH,
  type TestWorkplace,
  testRequest,
  testWorkplace,
  VERSION,
  writeFiles,
} from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';

let workplace: TestWorkplace;
let assets: string;

before(async () => {
  workplace = await testWorkplace();
  assets = join(workplace.directory, 'assets');
  await writeFiles(assets, { ...assetFiles(), 'usr/lib/grub/i386-pc/normal.mod': 'normal' });
});
after(() => workplace[Symbol.asyncDispose]());

function resolved(given: GivenProfile = {}, more: Parameters<typeof testRequest>[1] = {}): Promise<Plan> {
  return planBuild(workplace, testRequest(given, { assets: `dir:${assets}`, ...more }), { resolve: true });
}

async function digestFor(...request: Parameters<typeof resolved>): Promise<Digest> {
  return planDigest(await resolved(...request));
}

test('a plan that was not resolved has none', async () => {
  const plan = await planBuild(workplace, testRequest(), { resolve: false });
  assert.throws(() => planDigest(plan), { name: 'RangeError', message: /not resolved: imager-image has no digest/ });
});

describe('the same digest', () => {
  test('again, from JSON, and for a profile put together in another way', async () => {
    const given = { customization: { metaContents: [{ key: 0xc, value: 'x' }] }, name: 'Mine' };
    const plan = await resolved(given);
    const digest = planDigest(plan);
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await digestFor(given), digest);
    assert.equal(planDigest(JSON.parse(JSON.stringify(plan)) as Plan), digest);
    assert.equal(planDigest(reversed(plan) as Plan), digest);
    const text = [
      'customization: {metaContents: [{value: x, key: 12}]}',
      'baseProfileName: iso',
      `version: ${VERSION}`,
      'name: Mine',
      'arch: arm64',
    ].join('\n');
    const profile = finaliseProfile(resolveProfile(parseProfile(text).profile));
    const request = { ...testRequest({}, { assets: `dir:${assets}` }), profile };
    assert.equal(planDigest(await planBuild(workplace, request, { resolve: true })), digest);
  });

  test('for files of the same content elsewhere', async () => {
    const copy = join(workplace.directory, 'copy');
    await cp(assets, copy, { recursive: true });
    const digest = await digestFor({ arch: 'amd64' });
    assert.equal(await digestFor({ arch: 'amd64' }, { assets: `dir:${copy}` }), digest);
    const kernel = { path: join(copy, 'usr/install/amd64/vmlinuz') };
    assert.equal(await digestFor({ arch: 'amd64', input: { kernel } }), digest);
    const grubDirectory = join(copy, 'usr/lib/grub');
    assert.equal(await digestFor({ arch: 'amd64' }, { grubDirectory }), digest);
  });

  test('for one image from a layout, a registry, its mirror, by tag and by digest', async () => {
    const image = await assetImage(assetFiles());
    const layout = join(workplace.directory, 'layout');
    await writeLayout(layout, { [VERSION]: image });
    const registry = await startRegistry();
    try {
      registry.serve('team/imager', 'v1', image);
      const mirrors = parseMirrors([`registry.invalid=http://${registry.host}`]);
      const digests = new Set<Digest>();
      for (const source of [
        `oci:${layout}:${VERSION}`,
        `oci:${layout}`,
        `${registry.host}/team/imager:v1`,
        `${registry.host}/team/imager@${digestOf(image.manifest)}`,
        'registry.invalid/team/imager:v1',
      ]) {
        const request = testRequest({}, { assets: source });
        const trust = {
          rules: [{ pattern: '*', demand: { kind: 'unsigned' }, origin: 'test' }],
          otherwise: [],
        } as const;
        const plan = await planBuild({ ...workplace, transport: { mirrors }, trust }, request, { resolve: true });
        digests.add(planDigest(plan));
      }
      assert.equal(digests.size, 1);
    } finally {
      await registry.close();
    }
  });

  test('for warnings, and names of what messages are about', async () => {
    const customization = { metaContents: [{ key: 0xa, value: '# nothing\n' }] };
    const digest = await digestFor({ customization });
    assert.equal(
      await digestFor(
        { customization },
        { metaOrigins: [{ meta: customization.metaContents[0]!, origin: 'net.yaml' }] },
      ),
      digest,
    );
    assert.equal(await digestFor({ customization }, { skipNetworkCheck: true }), digest);
  });

  test('for signing keys in another place', async () => {
    const at = (keyPath: string): GivenProfile => ({
      baseProfileName: 'secureboot-iso',
      output: { kind: 'cmdline' },
      input: { secureboot: { pcrSigner: { keyPath } } },
    });
    assert.equal(await digestFor(at('/a/pcr.pem')), await digestFor(at('/b/pcr.pem')));
  });
});

test('another digest for whatever makes another output', async () => {
  const meta = (...metaContents: { key: number; value: string }[]): GivenProfile => ({
    customization: { metaContents },
  });
  const requests: readonly Parameters<typeof resolved>[] = [
    [{}],
    [{}, { epoch: EPOCH + 1 }],
    [{ arch: 'amd64', output: { kind: 'iso', isoOptions: { bootloader: 'sd-boot' } } }],
    [{ arch: 'amd64', output: { kind: 'iso', isoOptions: { bootloader: 'grub' } } }],
    [{ arch: 'amd64' }],
    [{ version: 'v1.13.1' }],
    [{ version: 'v1.12.0' }],
    [{ name: 'Other' }],
    [{ platform: 'nocloud' }],
    [{ output: { kind: 'uki' } }],
    [{ output: { kind: 'kernel' } }],
    [{ output: { kind: 'initramfs' } }],
    [{ output: { kind: 'cmdline' } }],
    [{ customization: { extraKernelArgs: ['a'] } }],
    [{ customization: { extraKernelArgs: ['a', 'b'] } }],
    [{ customization: { extraKernelArgs: ['b', 'a'] } }],
    [meta({ key: 0xc, value: 'x' })],
    [meta({ key: 0xd, value: 'x' })],
    [meta({ key: 0xc, value: 'x ' })],
  ];
  const digests = new Map<Digest, string>();
  for (const request of requests) {
    const digest = await digestFor(...request);
    const shown = JSON.stringify(request);
    assert.ok(!digests.has(digest), `${shown} has the digest of ${digests.get(digest)}`);
    digests.set(digest, shown);
  }
});

test('another digest for every input that changes', async () => {
  const changed = join(workplace.directory, 'changed');
  const font = 'usr/share/grub/unicode.pf2';
  const changes: readonly (readonly [string, () => Promise<void>])[] = [
    ['the same files', async () => undefined],
    ...['vmlinuz', 'initramfs.xz', 'systemd-stub.efi', 'systemd-boot.efi'].map((name) => {
      const change = (): Promise<void> => writeFile(join(changed, 'usr/install/amd64', name), name);
      return [name, change] as const;
    }),
    ['a GRUB module', () => writeFile(join(changed, 'usr/lib/grub/i386-pc/normal.mod'), 'other')],
    ['a GRUB module more', () => writeFiles(changed, { 'usr/lib/grub/i386-pc/more.mod': 'normal' })],
    ['a link to a GRUB module', () => symlink('normal.mod', join(changed, 'usr/lib/grub/i386-pc/link.mod'))],
    ['a link to nothing', () => symlink('nothing', join(changed, 'usr/lib/grub/i386-pc/link.mod'))],
    ['a font', () => writeFiles(changed, { [font]: 'one' })],
    ['another font', () => writeFiles(changed, { [font]: 'two' })],
  ];
  const digests = new Map<Digest, string>();
  for (const [what, change] of changes) {
    await cp(assets, changed, { recursive: true });
    await change();
    const digest = await digestFor({ arch: 'amd64' }, { assets: `dir:${changed}` });
    assert.ok(!digests.has(digest), `${what} has the digest of ${digests.get(digest)}`);
    digests.set(digest, what);
    await rm(changed, { recursive: true });
  }
});

/** Plan digests, and the SHA-256 of what was built under them. */
const RECORDED: readonly (readonly [name: string, given: GivenProfile, plan: string, bytes: string])[] = [
  [
    'ISO with systemd-boot',
    {},
    '4464c8ce810494836e8474c1d4c637ddf60288291fad63cd5122c011f40e9ae0',
    '4192f3db6b82e39bff99f952aea574e3aff37c386e4601a8fcf8ef5d0a921e6f',
  ],
  [
    'UKI',
    { arch: 'amd64', output: { kind: 'uki' } },
    '21555cae0afc0a62a01997e40d3d49cd81b189c3273cec9a69ac83b3f7d4be04',
    '25c211e143b628e93fe9f3b7b6c15899700266f1416997b9978dfc236900e568',
  ],
];

describe('no plan digest stands for two outputs', () => {
  for (const [name, given, plan, bytes] of RECORDED) {
    test(name, async () => {
      const request = testRequest(given, { assets: `dir:${assets}` });
      const decided = await planBuild(workplace, request, { resolve: true });
      const hash = createHash('sha256');
      for await (const chunk of chunks((await build(workplace, request, decided)).bytes)) hash.update(chunk);
      const found = { plan: planDigest(decided).slice(7), bytes: hash.digest('hex') };
      const raise = found.plan === plan && found.bytes !== bytes;
      assert.deepEqual(
        found,
        { plan, bytes },
        raise ? 'raise LAYOUT_REVISION in plan-digest.ts, then' : 'record these',
      );
    });
  }
});

/** The same value with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(reversed);
  const entries = Object.entries(value).map(([key, part]) => [key, reversed(part)] as const);
  return Object.fromEntries(entries.reverse());
}
