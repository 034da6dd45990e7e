/** A report with everything in it that one can have. */
import type { BuildReport } from '../../src/report/build-report.ts';
import { parseSpdx } from '../../src/report/spdx-document.ts';
import type { ShippedSbom } from '../../src/report/spdx-merge.ts';
import { spdxDocument } from './spdx-documents.ts';

const digest = (byte: string): string => `sha256:${byte.repeat(32)}`;

export const REPORT: BuildReport = {
  tool: { name: 'bootwright', version: '0.1.0' },
  builder: 'https://ci.example/pipelines/7',
  builds: [
    {
      kind: 'iso',
      architecture: 'amd64',
      platform: 'metal',
      talosVersion: 'v1.13.0',
      planDigest: digest('01'),
      epoch: 1_559_424_892,
      cmdline: 'talos.platform=metal',
      parameters: { profile: { arch: 'amd64' } },
      inputs: [
        {
          role: 'imager-image',
          from: 'ghcr.io/siderolabs/imager:v1.13.0',
          digest: digest('02'),
          image: {
            repository: 'ghcr.io/siderolabs/imager',
            tag: 'v1.13.0',
            verification: {
              digest: digest('03'),
              status: 'verified',
              rule: 'ghcr.io/siderolabs/* (built in)',
              mode: 'keyless',
              subject: 'releases@example.com',
              issuer: 'https://accounts.example.com',
              logIndex: 18_304_044,
              signedAt: '2026-01-01T00:00:00Z',
              trustedRoot: 'built in',
            },
          },
        },
        { role: 'system-extension', from: 'oci:./driver', digest: digest('04') },
        { role: 'kernel', from: '/srv/kernels/mine & yours', digest: digest('05') },
      ],
      warnings: [],
    },
  ],
  outputs: [
    {
      name: 'metal-amd64.iso',
      path: '/tmp/out/metal-amd64.iso',
      mediaType: 'application/vnd.efi-iso',
      size: 12,
      digests: { sha256: 'ab'.repeat(32), sha512: 'cd'.repeat(64) },
    },
  ],
};

const [imager, extension] = REPORT.builds[0]!.inputs;

/** Of two inputs, with the same names inside. */
export const SBOMS: readonly ShippedSbom[] = [
  { input: imager!, file: 'talos-amd64.spdx.json', document: parseSpdx(spdxDocument(), 'talos') },
  { input: extension!, file: 'driver.spdx.json', document: parseSpdx(spdxDocument(), 'driver') },
];
