/** What sbverify and openssl say of our signatures. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { enrollmentKeys } from '../../src/boot/efi-signature-database.ts';
import { signPe } from '../../src/boot/sign-pe.ts';
import { type Bytes, ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import { testCertificatePem, testSigner } from '../support/secureboot.ts';
import { withoutTablePadding } from '../support/signed-pe.ts';
import { skipWithout } from '../support/tools.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

const platform = nodePlatform();
const directory = await mkdtemp(join(tmpdir(), 'bootwright-secureboot-'));
after(() => rm(directory, { recursive: true }));
const EPOCH = 1_700_000_000;

async function save(name: string, content: Bytes | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : await read(content));
  return path;
}

const certificate = await save('cert.pem', testCertificatePem('uki-test-cert'));

for (const name of ['boot-a.efi', 'boot-odd.efi', 'boot-arm64.efi']) {
  test(`sbverify accepts ${name}, signed once and twice`, { skip: skipWithout('sbverify') }, async () => {
    const once = await signPe(platform, ofMemory(syntheticInput(name)), testSigner(), EPOCH, name);
    const twice = await signPe(platform, once, testSigner(), EPOCH + 1, name);
    for (const [file, count] of [
      [once, 1],
      [twice, 2],
    ] as const) {
      const path = await save(`${count}-${name}`, file);
      const verdict = execFileSync('sbverify', ['--cert', certificate, path], { encoding: 'utf8', stdio: 'pipe' });
      assert.match(verdict, /Signature verification OK/);
      const list = execFileSync('sbverify', ['--list', path], { encoding: 'utf8', stdio: 'pipe' });
      assert.equal(list.match(/^signature \d+$/gm)?.length, count);
    }
  });
}

test('sbverify accepts both signatures where the first was left unpadded', {
  skip: skipWithout('sbverify'),
}, async () => {
  const padded = await signPe(platform, ofMemory(syntheticInput('boot-a.efi')), testSigner(), EPOCH, 'boot-a.efi');
  const once = withoutTablePadding(await read(padded));
  assert.notEqual(once.length % 8, 0, 'the table would be padded anyway');
  const twice = await signPe(platform, ofMemory(once), testSigner(), EPOCH + 1, 'boot-a.efi');
  const thrice = await signPe(platform, twice, testSigner(), EPOCH + 2, 'boot-a.efi');
  for (const [index, file] of [ofMemory(once), twice, thrice].entries()) {
    const path = await save(`unpadded-${index}.efi`, file);
    execFileSync('sbverify', ['--cert', certificate, path], { stdio: 'pipe' });
    const list = execFileSync('sbverify', ['--list', path], { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(list.match(/^signature \d+$/gm)?.length, index + 1);
  }
});

test('sbverify refuses a signed file with one changed byte', { skip: skipWithout('sbverify') }, async () => {
  const signed = await read(await signPe(platform, ofMemory(syntheticInput('boot-a.efi')), testSigner(), EPOCH, 'a'));
  signed[0x400] = (signed[0x400] ?? 0) ^ 1;
  const path = await save('changed.efi', ofMemory(signed));
  assert.throws(() => execFileSync('sbverify', ['--cert', certificate, path], { stdio: 'pipe' }));
});

test('openssl accepts the signatures of enrolled variables', { skip: skipWithout('openssl') }, async () => {
  const { platformKey, keyExchangeKey, signatureDatabase } = await enrollmentKeys(platform, testSigner(), EPOCH);
  for (const [name, vendor, variable] of [
    ['PK', '61dfe48bca93d211aa0d00e098032b8c', platformKey],
    ['KEK', '61dfe48bca93d211aa0d00e098032b8c', keyExchangeKey],
    ['db', 'cbb219d73a3d9645a3bcdad00e67656f', signatureDatabase],
  ] as const) {
    const data = Buffer.from(await read(variable));
    const length = data.readUInt32LE(16) - 24;
    const signedData = data.subarray(40, 40 + length);
    const lists = data.subarray(40 + length);
    const attributes = Buffer.from([0x27, 0, 0, 0]);
    const content = Buffer.concat([
      Buffer.from(name, 'utf16le'),
      Buffer.from(vendor, 'hex'),
      attributes,
      data.subarray(0, 16),
      lists,
    ]);
    const header = Buffer.from('06092a864886f70d010702', 'hex');
    const inner = Buffer.concat([Buffer.from([0xa0, 0x82, length >> 8, length & 0xff]), signedData]);
    const size = header.length + inner.length;
    const cms = Buffer.concat([Buffer.from([0x30, 0x82, size >> 8, size & 0xff]), header, inner]);
    const [cmsPath, contentPath] = [
      await save(`${name}.cms`, ofMemory(cms)),
      await save(`${name}.bin`, ofMemory(content)),
    ];
    const args = ['cms', '-verify', '-binary', '-inform', 'der', '-in', cmsPath, '-content', contentPath];
    execFileSync('openssl', [...args, '-CAfile', certificate, '-purpose', 'any', '-out', join(directory, 'out')], {
      stdio: 'pipe',
    });
  }
});
