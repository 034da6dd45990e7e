/** coreutils check our checksum files, OpenSSL our signatures; cosign does where it is installed. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { imager, scratch, writeAssets } from '../support/command-line.ts';
import { skipWithout } from '../support/tools.ts';

const skip = skipWithout('openssl', 'sha256sum', 'sha512sum');
/** No package of Debian has it. */
const hasCosign = spawnSync('cosign', ['version']).status === 0;

const space = await scratch();
after(() => space[Symbol.asyncDispose]());

const KEYS = {
  ecdsa: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
} as const;
const REPORTS = ['build.json', 'iso.intoto.json', 'iso.spdx.json', 'iso.cdx.json', 'SHA256SUMS', 'SHA512SUMS'];

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { cwd: space.directory, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

before(async () => {
  if (skip !== false) return;
  const source = await writeAssets(space.path('assets'));
  for (const [name, options] of Object.entries(KEYS)) {
    openssl('genpkey', ...options, '-aes-256-cbc', '-pass', 'pass:pw', '-out', `${name}.pem`);
    openssl('pkey', '-in', `${name}.pem`, '-passin', 'pass:pw', '-pubout', '-out', `${name}.pub`);
    const reports = REPORTS.flatMap((one) => ['--report', space.path(join(name, one))]);
    const inputs = ['--arch', 'arm64', '--imager-image', source, '--store', space.path('store')];
    const { code, stderr } = await imager(
      ['iso', '-o', space.path(name), ...inputs, ...reports, '--report-key', space.path(`${name}.pem`)],
      { environment: { COSIGN_PASSWORD: 'pw' } },
    );
    assert.equal(code, 0, stderr);
  }
});

for (const name of Object.keys(KEYS)) {
  test(`${name}: sha256sum and sha512sum --check`, { skip }, () => {
    for (const [program, file] of [
      ['sha256sum', 'SHA256SUMS'],
      ['sha512sum', 'SHA512SUMS'],
    ] as const) {
      const said = execFileSync(program, ['--check', '--strict', file], { cwd: space.path(name) });
      assert.equal(said.toString(), 'metal-arm64.iso: OK\n');
    }
  });

  test(`${name}: openssl verifies each signature, and none of another file`, { skip }, () => {
    for (const report of REPORTS) {
      const bundle = JSON.parse(readFileSync(space.path(join(name, `${report}.sigstore.json`)), 'utf8'));
      writeFileSync(space.path('signature'), Buffer.from(bundle.messageSignature.signature, 'base64'));
      const verify = ['dgst', '-sha256', '-verify', `${name}.pub`, '-signature', 'signature'];
      assert.equal(openssl(...verify, join(name, report)), 'Verified OK\n');
      assert.throws(() => openssl(...verify, `${name}.pub`), /Command failed/);
    }
  });

  test(`${name}: cosign verify-blob`, { skip: hasCosign ? skip : 'cosign is not installed' }, () => {
    const verify = (report: string, file: string): number | null =>
      spawnSync(
        'cosign',
        ['verify-blob', '--key', `${name}.pub`, '--bundle', join(name, `${report}.sigstore.json`)].concat(
          '--insecure-ignore-tlog=true',
          file,
        ),
        { cwd: space.directory, env: { PATH: process.env.PATH, HOME: space.directory } },
      ).status;
    for (const report of REPORTS) {
      assert.equal(verify(report, join(name, report)), 0, report);
      assert.notEqual(verify(report, `${name}.pub`), 0, report);
    }
  });
}
