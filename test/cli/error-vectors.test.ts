/** Bad input: upstream's exit codes, and nothing left behind. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { imager, scratch } from '../support/command-line.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { vectorLines } from '../support/vectors.ts';

interface ErrorCase {
  readonly id: string;
  /** Release of upstream's imager. */
  readonly imager: string;
  readonly argv: readonly string[];
  readonly stdin?: string;
  readonly sourceDateEpoch: string;
  readonly rc: number;
  readonly outputs: readonly { readonly name: string }[];
}

const CASES = vectorLines<ErrorCase>('images/errors.jsonl.gz');

interface Difference {
  readonly id: RegExp;
  readonly reason: string;
  readonly code: number;
  readonly says: RegExp;
}

const NO_FILE = /: no file .*syn\/(none|db) on this machine|: no file .*syn\/none/;

/** Where we decide otherwise, on purpose. Upstream finds some of it after it has written an output. */
const DIFFERENCES: readonly Difference[] = [
  { id: /^missing-boot(-uki-v1\.9)?$/, reason: 'a UKI needs no systemd-boot', code: 0, says: /output asset path/ },
  { id: /^missing-stub-grub-iso-v1\.9$/, reason: 'such an ISO needs no stub', code: 5, says: /GRUB platform/ },
  { id: /^missing-|^kernel-is-dir$/, reason: 'a local file', code: 6, says: NO_FILE },
  { id: /^stub-truncated-/, reason: 'damaged input', code: 2, says: /UEFI stub: section \.sbat .* reaches past/ },
  { id: /^stdin-unknown-key$/, reason: 'a field nobody knows', code: 2, says: /:17:1: unknown field "zzz"/ },
  { id: /^meta-ok$/, reason: 'no network document', code: 2, says: /--meta 0xa:1:1: "y": want a mapping/ },
  { id: /^epoch-bad-/, reason: 'checked for every kind', code: 2, says: /SOURCE_DATE_EPOCH "abc"/ },
  { id: /^board-flag$/, reason: 'says what to do instead', code: 3, says: /--overlay-name/ },
  { id: /^disk-arm64-dual$/, reason: 'no machine starts it', code: 3, says: /bootloader dual-boot on arm64/ },
  {
    id: /^disk-sector-513$/,
    reason: 'no disk has such sectors',
    code: 2,
    says: /diskSectorSize 513: want 512 or 4096/,
  },
];

/** A flag that came later, and one that was taken away. */
const OTHER_FLAGS = /^(enroll-bad|image-disk-size-flag)$/;

test('all cases are here', () => {
  assert.equal(CASES.length, 108);
});

const space = await scratch();
after(() => space[Symbol.asyncDispose]());
await mkdir(space.path('syn/db'), { recursive: true });
await mkdir(space.path('grub'));
for (const name of new Set(CASES.flatMap(({ stdin = '' }) => stdin.match(/(?<=\/syn\/)[a-z0-9.-]+/g) ?? []))) {
  if (name === 'none' || name === 'db') continue;
  // What is read of an initramfs is its size.
  const data = name.startsWith('initramfs') ? Buffer.alloc(1000, name) : syntheticInput(name);
  await writeFile(space.path(`syn/${name}`), data);
}

for (const one of CASES) {
  const name = one.id.replace(/^err-/, '').replace(`-${one.imager}`, '');
  const twin = CASES.find((other) => other.imager !== one.imager && other.id.includes(`err-${name}-1.`));
  const difference = DIFFERENCES.find(({ id }) => id.test(name));
  test(difference === undefined ? one.id : `${one.id} (${difference.reason})`, async () => {
    const { code, stderr, names } = await run(one);
    assert.doesNotMatch(stderr, /a bug in imager/);
    if (code !== 0) assert.deepEqual(names, []);
    // Held to its own exit code as soon as it can be built.
    if (code === 3 && stderr.includes('not supported by this release')) return;
    if (difference !== undefined) {
      assert.equal(code, difference.code, stderr);
      assert.match(stderr, difference.says);
    } else if (one.rc === 0) {
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        names,
        one.outputs.map(({ name: output }) => output),
      );
    } else if (one.imager.startsWith('1.14')) {
      assert.equal(code, one.rc, stderr);
    } else if (!OTHER_FLAGS.test(name)) {
      // That release knew one exit code.
      if (twin === undefined) assert.ok(code > 0, stderr);
      else assert.equal(code, twin.rc, stderr);
    }
  });
}

async function run({ imager: release, argv, stdin = '', sourceDateEpoch }: ErrorCase): Promise<{
  readonly code: number;
  readonly stderr: string;
  readonly names: readonly string[];
}> {
  const here = (text: string): string => text.replaceAll(/\/(syn|oute)\b/g, `${space.directory}/$1`);
  const ours = ['--talos-version', `v${release}`, '--offline', '--grub-dir', space.path('grub')];
  const { code, stderr } = await imager([...ours, ...argv.map(here)], {
    stdin: here(stdin),
    environment: { SOURCE_DATE_EPOCH: sourceDateEpoch, HOME: space.directory },
  });
  const names = await readdir(space.path('oute')).catch(() => []);
  await rm(space.path('oute'), { recursive: true, force: true });
  return { code, stderr, names };
}

test('what was where the output should be is untouched', async () => {
  const kernel = syntheticInput('kernel-a');
  assert.ok(Buffer.from(kernel).equals(await readFile(space.path('syn/kernel-a'))));
});
