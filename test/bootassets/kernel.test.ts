/** Telling kernels from other files, and reading their version. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { inspectKernel, readKernelVersion } from '../../src/boot/kernel.ts';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { ImagerError } from '../../src/errors.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

/** A file of zeros with some fields set. */
function fileWith(size: number, fields: Readonly<Record<number, string>>): Buffer {
  const data = Buffer.alloc(size);
  for (const [at, text] of Object.entries(fields)) data.write(text, Number(at), 'latin1');
  return data;
}

const inspect = (data: Uint8Array, architecture: 'amd64' | 'arm64') => inspectKernel(ofMemory(data), architecture);

const VERSIONS: Readonly<Record<string, string | undefined>> = {
  'kernel-a': '6.18.44-synthetic',
  'kernel-nospace': '6.1.2',
  'kernel-leadspace': undefined,
  'kernel-empty': undefined,
  'kernel-tab': '6.1.2\tx',
  'kernel-255': 'v'.repeat(255),
  'kernel-256': undefined,
  'kernel-p0': undefined,
  'kernel-p-eq': '6.1.3-eq',
  'kernel-p-over': undefined,
  'kernel-s127': undefined,
  'kernel-s128': undefined,
  'kernel-s255': '6.1.7-s255',
  'kernel-s255-fe00': undefined,
  'kernel-short': undefined,
  'kernel-1023': undefined,
  'kernel-nohdr': undefined,
  'kernel-tiny': undefined,
  'kernel-empty0': undefined,
  'kernel-pe': '6.18.44-synthpe',
  'kernel-pe-arm64': undefined,
};

test('version texts at every limit of the header', async () => {
  for (const [name, version] of Object.entries(VERSIONS)) {
    assert.equal(await readKernelVersion(ofMemory(syntheticInput(name))), version, name);
  }
});

test('a version of other than printable characters is none', async () => {
  const data = Buffer.from(syntheticInput('kernel-a'));
  data.write('6.1\x01 x\0', 0x500, 'latin1');
  assert.equal(await readKernelVersion(ofMemory(data)), undefined);
});

test('formats and architectures', async () => {
  assert.deepEqual(await inspect(syntheticInput('kernel-a'), 'amd64'), {
    format: 'bzImage',
    architecture: 'amd64',
    isEfi: false,
    version: '6.18.44-synthetic',
  });
  assert.deepEqual(await inspect(syntheticInput('kernel-pe'), 'amd64'), {
    format: 'bzImage',
    architecture: 'amd64',
    isEfi: true,
    version: '6.18.44-synthpe',
  });
  const arm = await inspect(syntheticInput('kernel-pe-arm64'), 'arm64');
  assert.deepEqual([arm.format, arm.isEfi], ['PE', true]);
  const image = await inspect(fileWith(4096, { 56: 'ARM\x64' }), 'arm64');
  assert.deepEqual([image.format, image.isEfi, image.version], ['arm64 Image', false, undefined]);
  const zboot = fileWith(4096, { 0: 'MZ', 4: 'zimg', 60: '\x80', 128: 'PE\0\0\x64\xaa' });
  assert.equal((await inspect(zboot, 'arm64')).format, 'EFI zboot');
});

test('what is no kernel, or for another machine, is refused with what it is', async () => {
  await assert.rejects(inspect(syntheticInput('kernel-a'), 'arm64'), {
    code: 'invalid-input',
    message: 'kernel: a bzImage for amd64, want one for arm64',
  });
  await assert.rejects(inspect(syntheticInput('kernel-pe-arm64'), 'amd64'), /a PE for arm64, want one for amd64/);
  await assert.rejects(inspect(fileWith(4096, { 0: 'MZ', 60: '\x40', 64: 'PE\0\0\x64\x50' }), 'amd64'), /for riscv64/);
  await assert.rejects(
    inspect(fileWith(4096, { 0: 'MZ', 60: '\x40', 64: 'PE\0\0\x34\x12' }), 'amd64'),
    /for machine 0x1234/,
  );
  await assert.rejects(inspect(new Uint8Array(0), 'amd64'), { message: 'kernel: an empty file, want a kernel image' });
  await assert.rejects(inspect(syntheticInput('kernel-nohdr'), 'amd64'), /no kernel image/);
  await assert.rejects(inspect(syntheticInput('kernel-tiny'), 'amd64'), /no kernel image/);
  await assert.rejects(inspect(gzipSync(syntheticInput('kernel-tiny')), 'arm64'), {
    message: 'kernel: a gzip file, want a kernel image',
    hint: 'decompress it first',
  });
  await assert.rejects(inspect(Buffer.from('\x7fELF\x02'), 'amd64'), { hint: /not vmlinux/ });
});

test('fuzz: a damaged kernel is read or refused', async () => {
  const head = Buffer.from(syntheticInput('kernel-pe').subarray(0, 2048));
  const places = [0, 1, 4, 0x38, 0x3c, 0x3d, 0x3f, 0x80, 0x1f1, 0x202, 0x20e, 0x20f, 0x500];
  const change = fc.tuple(fc.oneof(fc.constantFrom(...places), fc.nat(2047)), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.nat(2048), async (changes, size) => {
      const data = Buffer.from(head);
      for (const [at, byte] of changes) data[at] = byte;
      try {
        await inspect(data.subarray(0, size), 'amd64');
      } catch (error) {
        assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
      }
    }),
    { numRuns: FUZZ_RUNS },
  );
});
