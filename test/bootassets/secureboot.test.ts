/** Signatures against upstream's: with the times that its runs had, the bytes are the same. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { enrollmentKeys } from '../../src/boot/efi-signature-database.ts';
import { formatOsRelease } from '../../src/boot/os-release.ts';
import {
  measureContent,
  pcrSignature,
  pcrValue,
  policyDigest,
  publicKeyPem,
  type SectionDigests,
} from '../../src/boot/pcr-signature.ts';
import { signPe } from '../../src/boot/sign-pe.ts';
import { pcrSectionsOf } from '../../src/boot/sign-uki.ts';
import { type UkiParts, ukiSections } from '../../src/boot/uki.ts';
import { type Bytes, ofMemory, ofSource, ofText, zeros } from '../../src/bytes/bytes.ts';
import { toHex } from '../../src/bytes/field.ts';
import { read } from '../../src/bytes/read.ts';
import { authenticodeContent } from '../../src/formats/pe/authenticode.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Architecture } from '../../src/profiles/profile.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { abortingSource } from '../support/bytes.ts';
import { testPcrKey, testSigner } from '../support/secureboot.ts';
import { syntheticInput } from '../support/uki-inputs.ts';
import { vectorFile, vectorLines } from '../support/vectors.ts';

const platform = nodePlatform();

interface AuthenticodeCase {
  readonly id: string;
  readonly input: string;
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
  readonly authenticodeSha256: string;
  readonly certificateTable: { readonly entries: readonly { readonly derBase64: string }[] };
}

test('measuring and signing end when they are aborted', async () => {
  const MIB = 1 << 20;
  const measured = abortingSource(new Uint8Array(16 * MIB));
  const options = { signal: measured.signal };
  await assert.rejects(measureContent(platform, ofSource(measured.source), options), { code: 'canceled' });
  assert.ok(measured.source.reads.length < 4, 'most is never read');
  const loader = new Uint8Array([...syntheticInput('boot-a.efi'), ...new Uint8Array(16 * MIB)]);
  const { source, signal } = abortingSource(loader, MIB);
  const signing = signPe(platform, ofSource(source), testSigner(), 1_700_000_000, 'loader', { signal });
  await assert.rejects(signing, { code: 'canceled' });
  assert.ok(source.reads.every(({ position }) => position < 5 * MIB));
});

describe('systemd-boot', () => {
  for (const one of vectorLines<AuthenticodeCase>('secureboot/authenticode.jsonl.gz')) {
    if (one.file.startsWith('/EFI/Linux/')) continue;
    test(one.id, async () => {
      const isHere = one.input === 'boot-presigned.efi';
      const file = ofMemory(isHere ? vectorFile(`uki/synthetic/${one.input}`) : syntheticInput(one.input));
      assert.equal(await sha256(await authenticodeContent(file, 'loader')), one.authenticodeSha256);
      const signed = await signPe(platform, file, testSigner(), signingTime(one), 'loader');
      assert.equal(signed.size, one.size);
      assert.equal(await sha256(signed), one.sha256);
    });
  }
});

/** Of the last signature: UTCTime, `YYMMDDhhmmssZ`. */
function signingTime({ certificateTable: { entries } }: AuthenticodeCase): number {
  return utcTimeIn(Buffer.from(entries.at(-1)!.derBase64, 'base64'));
}

/** The attribute's OID is 1.2.840.113549.1.9.5, its value begins four bytes behind it. */
function utcTimeIn(der: Buffer): number {
  const at = der.lastIndexOf(Buffer.from('06092a864886f70d010905', 'hex'));
  const text = der.toString('latin1', at + 15, at + 27);
  const [, year, month, day, hour, minute, second] = /^(..)(..)(..)(..)(..)(..)$/.exec(text)!;
  return Date.parse(`20${year}-${month}-${day}T${hour}:${minute}:${second}Z`) / 1000;
}

interface EnrolmentCase {
  readonly id: string;
  readonly rc: number;
  readonly profile: string;
  readonly databases?: Readonly<Record<'PK' | 'KEK' | 'db', { readonly base64?: string }>>;
}

describe('enrolled variables', () => {
  const cases = vectorLines<EnrolmentCase>('secureboot/enrolment.jsonl.gz').filter(
    // A certificate that is not the key's is refused here.
    ({ id, rc, profile }) =>
      rc === 0 && !/includeWellKnownCerts: true|platformKeyPath/.test(profile) && !id.includes('key-mismatch'),
  );
  for (const { id, profile, databases } of cases) {
    for (const [name, field] of [
      ['PK', 'platformKey'],
      ['KEK', 'keyExchangeKey'],
      ['db', 'signatureDatabase'],
    ] as const) {
      const wanted = databases?.[name]?.base64;
      if (wanted === undefined) continue;
      test(`${id} ${name}`, async () => {
        const bytes = Buffer.from(wanted, 'base64');
        const signer = testSigner(profile.includes('-4096') ? '-4096' : '');
        const made = await enrollmentKeys(platform, signer, utcTimeIn(bytes));
        assert.deepEqual(Buffer.from(await read(made[field])), bytes);
      });
    }
  }
});

test('the worked example of PCR 11', async () => {
  const sections = new Map<string, SectionDigests>();
  for (const name of ['linux', 'osrel', 'cmdline', 'initrd']) {
    sections.set(`.${name}`, await measureContent(platform, ofText(name)));
  }
  const value = pcrValue(platform, 'sha256', sections);
  assert.equal(toHex(value), 'de0318ed9b19277f259a8870b35e5ed0821a228004f51e4debeaf03c56bb339f');
  assert.equal(
    toHex(policyDigest(platform, 0x000b, value)),
    '8a8432c6d6eee04a4c4eeefd1ae03c816edca1a64d0d0e73e7b22487e0bc1f25',
  );
  const { sha384, sha512 } = JSON.parse(await pcrSignature(platform, sections, testPcrKey()));
  assert.equal(sha384[0].pol, 'da301c764eaa70bb2d8a58d25eb183409b5ac86a82afe23ba24329a6e8cb86be');
  assert.equal(sha512[0].pol, 'c0ea4a3c5dee058ff84cbd712e9d378f12cbab8ea56e375424c322d0d0cfa831');
});

interface SignedUki {
  readonly id: string;
  readonly imager: string;
  readonly profile: string;
  readonly cmdline: string;
  readonly uki: {
    readonly sections: readonly { readonly name: string; readonly sha256: string; readonly text?: string }[];
  };
}

describe('signed UKIs', () => {
  for (const one of vectorLines<SignedUki>('secureboot/uki-signed.jsonl.gz')) {
    test(one.id, async () => {
      const parts = partsOf(one);
      const key = testPcrKey();
      const pcr = await pcrSectionsOf(platform, parts, key);
      const { sections } = one.uki;
      const own = ukiSections({ ...parts, pcr }).map(({ name }) => name);
      assert.deepEqual(own, sections.map(({ name }) => name).slice(-own.length));
      assert.equal(publicKeyPem(key.publicKey), sections.find(({ name }) => name === '.pcrpkey')?.text);
      // The logo of upstream is not ours to store, only its digest: so one bank can be compared.
      const digests = new Map(sections.map(({ name, sha256: digest }) => [name, only256(digest)]));
      const wanted = JSON.parse(sections.find(({ name }) => name === '.pcrsig')?.text ?? '');
      const policy = policyDigest(platform, 0x000b, pcrValue(platform, 'sha256', digests));
      assert.equal(toHex(policy), wanted.sha256[0].pol);
      const found = JSON.parse(pcr.signatures[0] ?? '');
      assert.deepEqual(Object.keys(found), Object.keys(wanted));
      assert.equal(found.sha256[0].pkfp, wanted.sha256[0].pkfp);
      for (const [bank, [{ pol, sig }]] of Object.entries(found) as [string, [{ pol: string; sig: string }]][]) {
        const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' });
        assert.ok(verify(bank, Buffer.from(pol, 'hex'), publicKey, Buffer.from(sig, 'base64')), bank);
      }
      const signature = await key.sign(createHash('sha256').update(policy).digest(), 'sha256');
      assert.equal(Buffer.from(signature).toString('base64'), wanted.sha256[0].sig);
    });
  }
});

function only256(digest: string): SectionDigests {
  const nothing = new Uint8Array();
  return { sha256: Buffer.from(digest, 'hex'), sha384: nothing, sha512: nothing };
}

function partsOf({ profile: text, cmdline, uki, imager }: SignedUki): UkiParts {
  const unfolded = text.replace(/\{\{repeat (.) (\d+)\}\}/g, (_, letter, count) => letter.repeat(Number(count)));
  const profile = parse(unfolded) as {
    arch: Architecture;
    name?: string;
    version?: string;
    input: Record<'kernel' | 'initramfs' | 'sdStub', { path: string }>;
  };
  const input = (name: keyof typeof profile.input): Uint8Array =>
    syntheticInput(profile.input[name].path.replace(/^\/syn\//, ''));
  const version = profile.version || `v${imager}`;
  return {
    stub: input('sdStub'),
    architecture: profile.arch,
    osRelease: formatOsRelease({ name: profile.name ?? '', version }),
    cmdline,
    kernelVersion: uki.sections.find(({ name }) => name === '.uname')?.text,
    splash: zeros(640138),
    kernel: ofMemory(input('kernel')),
    initramfs: ofMemory(input('initramfs')),
    traits: traitsOf(version),
  };
}

async function sha256(bytes: Bytes): Promise<string> {
  return createHash('sha256')
    .update(await read(bytes))
    .digest('hex');
}
