/** Version parsing and traits against what upstream's quirk functions answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareTalosVersions, parseTalosVersion } from '../../src/profiles/talos-version.ts';
import { type Traits, traitsOf } from '../../src/profiles/traits.ts';
import { FUZZ_RUNS, vectorLines } from '../support/vectors.ts';

interface QuirkCase {
  readonly id: string;
  readonly version: string;
  readonly parsed: string | null;
  readonly quirks: Readonly<Record<string, unknown>>;
}

/** Upstream's names for what the record holds. */
function quirksOf(traits: Traits): Record<string, unknown> {
  const sizes = traits.partitionSizes;
  return {
    DropInitOnAllocInArgs: traits.dropsInitOnAlloc,
    FirmwarePath: traits.firmwarePath,
    ForcesLockdownConfidentiality: traits.forcesLockdown,
    ISOSupportsSettingBootloader: traits.isoBootloaderIsChosen,
    KernelModulesPath: traits.modulesPath,
    NvmeCoreIoTimeoutAWSOnly: traits.limitsNvmeTimeoutToAws,
    PartitionSizes: {
      EphemeralMinSize: sizes.ephemeral,
      GrubBIOSSize: sizes.bios,
      GrubBootSize: sizes.boot,
      GrubEFISize: sizes.grubEfi,
      METASize: sizes.meta,
      StateSize: sizes.state,
      UKIEFISize: sizes.ukiEfi,
    },
    ProcMemOverrideNever: traits.forbidsProcMemWrites,
    SkipDataPartitions: traits.skipsDataPartitions,
    SupportsCompressedEncodedMETA: traits.readsCompressedMeta,
    SupportsDisablingModuleSignatureVerification: traits.enforcesModuleSignatures,
    SupportsEmbeddedConfig: traits.supportsEmbeddedConfig,
    SupportsFactoryTalosctlDownload: traits.offersTalosctl,
    SupportsHaltIfInstalled: traits.haltsIfInstalled,
    SupportsIMA: traits.usesIma,
    SupportsISOLabel: traits.labelsIso,
    SupportsMetalPlatformConsoleTTYS0: traits.usesSerialConsoleOnMetal,
    SupportsMultidoc: traits.supportsMultiDocumentConfig,
    SupportsOverlay: traits.supportsOverlays,
    SupportsResetGRUBOption: traits.hasGrubResetEntry,
    SupportsSELinux: traits.usesSelinux,
    SupportsUKI: traits.supportsUki,
    SupportsUKIProfiles: traits.supportsUkiProfiles,
    SupportsUnifiedInstaller: traits.usesUnifiedInstaller,
    UseSDBootForUEFI: traits.usesSdBootForUefi,
    UseZSTDCompression: traits.compression === 'zstd',
    XFSMinAllocationGroupSize: traits.xfsMinAllocationGroupSize,
    XFSMkfsConfig: traits.xfsMkfsConfig,
  };
}

test('versions are read as upstream reads them', () => {
  const cases = vectorLines<QuirkCase>('quirks/quirks.jsonl.gz');
  assert.equal(cases.length, 343);
  for (const { id, version, parsed } of cases) assert.equal(parseTalosVersion(version)?.text ?? null, parsed, id);
});

test('traits are what upstream’s quirks say', () => {
  for (const { id, version, quirks } of vectorLines<QuirkCase>('quirks/quirks.jsonl.gz')) {
    assert.deepEqual(quirksOf(traitsOf(version)), quirks, `${id} ${version}`);
  }
});

test('text around a version: one v, leading zeros, pre-release and build data', () => {
  const read = (text: string): string | undefined => parseTalosVersion(text)?.text;
  assert.equal(read('\u2003v1.8.0\u0085'), '1.8.0');
  assert.equal(read('\ufeff1.8.0'), undefined);
  assert.equal(read('1.5.00-alpha.1'), '1.5.0');
  assert.equal(read('1.5.0-01'), undefined);
  assert.equal(read('1.5.0-01a'), '1.5.0');
  assert.equal(read('18446744073709551615.0.0'), '18446744073709551615.0.0');
  assert.equal(read('18446744073709551616.0.0'), undefined);
  assert.equal(read('1.8.0-18446744073709551616'), undefined);
  assert.equal(read('1.8.0+18446744073709551616'), '1.8.0');
});

test('releases are ordered by number, pre-releases count as their release', () => {
  const order = (a: string, b: string): number => compareTalosVersions(parseTalosVersion(a)!, parseTalosVersion(b)!);
  assert.ok(order('1.9.9', '1.10.0') < 0 && order('2.0.0', '1.99.99') > 0 && order('v1.8', '1.8.0-rc.1') === 0);
});

test('any text has traits', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[v0-9.+-]{0,12}$/)), (text) => {
      const traits = traitsOf(text);
      assert.equal(traits.partitionSizes.ukiEfi, traits.partitionSizes.boot + 101 * 1024 * 1024);
      if (parseTalosVersion(text) === undefined) assert.equal(traits.usesSdBootForUefi, false);
    }),
    { numRuns: FUZZ_RUNS, seed: 42 },
  );
});
