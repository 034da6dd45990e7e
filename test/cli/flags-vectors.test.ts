/** Command lines against what upstream's imager makes of the same. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { decodeMetaEnvironment } from '../../src/meta/environment.ts';
import type { Plan } from '../../src/pipeline/plan.ts';
import { dumpProfile } from '../../src/profiles/dump.ts';
import { imager, type Outcome, scratch } from '../support/command-line.ts';
import { vectorLines } from '../support/vectors.ts';

interface FlagsCase {
  readonly id: string;
  readonly args: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly expect: {
    readonly exitCode: number;
    readonly dump?: string;
    readonly cmdline?: string;
    readonly files?: readonly string[];
    readonly error?: string;
  };
}

const CASES = vectorLines<FlagsCase>('profiles/flags.jsonl.gz');

interface Difference {
  readonly id: RegExp;
  readonly reason: string;
  readonly code: number;
  readonly says: RegExp;
}

/** Where we decide otherwise than upstream, on purpose, or do not build it yet. */
const DIFFERENCES: readonly Difference[] = [
  { id: /^meta\/(15|30)$/, reason: 'META key 0 is lost on read', code: 1, says: /want 0x01\.\.0xff/ },
  { id: /^meta\/22$/, reason: '";" ends a value on the way to the node', code: 2, says: /";" at character 2/ },
  { id: /^meta\/23$/, reason: '@file is read', code: 6, says: /file: no such file/ },
  { id: /^board$/, reason: 'says what to do instead', code: 3, says: /flag --board: .*--overlay-name/ },
  { id: /^completion$/, reason: 'wants to know the shell', code: 1, says: /missing required argument 'shell'/ },
  { id: /^kind-unknown$/, reason: 'an ISO, whose inputs are not there', code: 5, says: /not in the store/ },
];

test('all cases are here', () => {
  assert.equal(CASES.length, 115);
});

const space = await scratch();
const home = process.cwd();
after(async () => {
  process.chdir(home);
  await space[Symbol.asyncDispose]();
});

for (const one of CASES) {
  const id = one.id.replace('flags/', '');
  const difference = DIFFERENCES.find((listed) => listed.id.test(id));
  test(difference === undefined ? id : `${id} (${difference.reason})`, async () => {
    const directory = space.path(one.id);
    await mkdir(directory, { recursive: true });
    for (const [name, text] of Object.entries(one.files ?? {})) await writeFile(join(directory, name), text);
    process.chdir(directory);
    const built = await run(one, []);
    assert.equal(built.code, difference?.code ?? one.expect.exitCode, built.stderr);
    if (difference !== undefined) assert.match(built.stderr, difference.says);
    if (built.code !== 0) {
      if (one.files?.OUT === undefined) assert.deepEqual(await readdir('OUT').catch(() => []), []);
      else assert.equal(await readFile('OUT', 'utf8'), one.files.OUT);
    } else if (one.expect.dump !== undefined) {
      assert.deepEqual(await readdir('OUT'), one.expect.files);
      const name = one.expect.files![0]!;
      const data = await readFile(join('OUT', name));
      const text = (name.endsWith('.zst') ? zstdDecompressSync(data) : data).toString();
      assertSameCommandLine(text, one.expect.cmdline!);
    } else {
      assert.match(built.text, /^Usage: imager /);
    }
    if (one.expect.dump !== undefined && built.code !== 1) await assertSamePlan(one, difference);
  });
}

async function assertSamePlan(one: FlagsCase, difference: Difference | undefined): Promise<void> {
  const json = await run(one, ['--json', '--no-resolve']);
  if (json.code !== 0) {
    assert.equal(json.code, difference?.code ?? one.expect.exitCode, json.stderr);
    return;
  }
  const { profile, cmdline, outputs } = JSON.parse(json.text) as Plan;
  assert.equal(dumpProfile(profile), expectedDump(one));
  assert.equal((await run(one, ['--yaml'])).text, expectedDump(one));
  assertSameCommandLine(cmdline, one.expect.cmdline!);
  if (one.expect.files !== undefined) assert.equal(outputs[0]?.path, one.expect.files[0]);
}

/** The system extension upstream makes of an embedded configuration lies in a scratch directory of its own, and in no document of ours. */
function expectedDump({ expect }: FlagsCase): string {
  return expect.dump!.replace(
    '  systemExtensions:\n    - imageRef: ""\n      tarballPath: <tmp>/embedded-config.tar\n',
    '',
  );
}

/** Compressed META may differ in its bytes. The release that made the vectors still locked the kernel down with SecureBoot, later ones do not. */
function assertSameCommandLine(ours: string, theirs: string): void {
  const encoded = /(?<=INSTALLER_META_BASE64=)\S+/;
  const withMeta = (text: string): string =>
    text.replace(encoded, (meta) => JSON.stringify(decodeMetaEnvironment(meta)));
  assert.equal(withMeta(ours), withMeta(theirs.replace(' lockdown=confidentiality', '')));
}

/** None of the values is a network document: those have tests of their own. */
function run({ args, stdin }: FlagsCase, plan: readonly string[]): Promise<Outcome> {
  const ours = ['--output', 'OUT', '--talos-version', 'v1.14.0-rc.1', '--no-validate', '--offline'];
  const before = plan.length === 0 ? ours : ['plan', ...ours, ...plan];
  const environment = { HOME: space.directory };
  return imager([...before, ...args], stdin === undefined ? { environment } : { environment, stdin });
}
