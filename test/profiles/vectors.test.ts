/** Profiles from text to dump, against what upstream makes of the same documents. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, ImagerError } from '../../src/errors.ts';
import { applyDefaults } from '../../src/profiles/defaults.ts';
import { dumpProfile } from '../../src/profiles/dump.ts';
import { outputFileName } from '../../src/profiles/output-name.ts';
import { parseProfile } from '../../src/profiles/parse.ts';
import type { Profile } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { checkProfile } from '../../src/profiles/validate.ts';
import { vectorFile } from '../support/vectors.ts';

type Release = '1.13' | '1.14';

interface Expected {
  readonly dump?: string;
  readonly outputPath?: string;
  readonly error?: string;
}

interface ProfileCase {
  readonly id: string;
  readonly text: string;
  readonly overlayProfiles: ReadonlyMap<string, string>;
  readonly expect: Expected;
  readonly expectV1_13_9?: Expected;
}

/** The releases that made the vectors; what a profile without version gets. */
const VERSIONS: Readonly<Record<Release, string>> = { '1.14': 'v1.14.0-rc.1', '1.13': 'v1.13.9' };

const CASES: Readonly<Record<string, number>> = { defaults: 647, validation: 197, merge: 111, dump: 156 };

interface Refusal {
  readonly id: RegExp;
  readonly reason: string;
  readonly says: RegExp;
  readonly code?: ErrorCode;
}

/** What we refuse on purpose where upstream reads it and takes it. */
const REFUSED_ON_READING: readonly Refusal[] = [
  { id: /^check\/disksize\/(cancels\/|-)/, reason: 'a negative disk size', says: /diskSize: -\d+: want/ },
  { id: /^check\/disksize\/9223372036854775807$/, reason: 'a size whose sum overflows', says: /diskSize: 9223/ },
  { id: /^check\/sectorsize\/18446744073709551615$/, reason: 'beyond exact numbers', says: /diskSectorSize: 1844/ },
  { id: /^check\/text\/alias-bomb$/, reason: 'millions of values behind aliases', says: /once aliases are expanded/ },
];

/** What passes upstream's checks and fails, or comes to nothing, while it builds: found before anything is built. */
const REFUSED_BEFORE_BUILDING: readonly Refusal[] = [
  { id: /^check\/disksize\/(missing|zero)\//, reason: 'no disk size', says: /diskSize: missing/ },
  { id: /^check\/(disksize-yaml\/-0|text\/image-null)$/, reason: 'no disk size', says: /diskSize: missing/ },
  { id: /^check\/diskformat\/'unknown'$/, reason: 'no format', says: /diskFormat: missing/, code: 'unsupported' },
  { id: /^check\/sectorsize\/(513|1e3)$/, reason: 'no disk has such sectors', says: /want 512 or 4096/ },
  { id: /^(check\/metakey\/(0|~)|merge\/meta-zero)$/, reason: 'META key 0 is lost on read', says: /key 0x0: want/ },
  { id: /^default\/metal-uki\/\w+\/v?1\.[0-4]\./, reason: 'no UKIs then', says: /want 1\.5\.0/, code: 'unsupported' },
];

/** Upstream says so after the artefact is written. */
const NO_OUTPUT_FORMAT: Refusal = { id: /./, reason: 'no output format', says: /outFormat: missing/ };

function refusalOf(one: ProfileCase): Refusal | undefined {
  const listed = REFUSED_BEFORE_BUILDING.find(({ id }) => id.test(one.id));
  return listed ?? (one.expect.dump!.includes('  outFormat: unknown\n') ? NO_OUTPUT_FORMAT : undefined);
}

interface RawJson {
  readonly rawJSON: (text: string) => unknown;
}

type Reviver = (key: string, value: unknown, context: { readonly source: string }) => unknown;

/** Numbers of documents given as JSON keep their spelling. */
const keepNumbers: Reviver = (_, value, { source }) =>
  typeof value === 'number' ? (JSON as unknown as RawJson).rawJSON(source) : value;

function casesOf(name: string): ProfileCase[] {
  const lines = vectorFile(`profiles/${name}.jsonl.gz`).toString('utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const one = JSON.parse(line, keepNumbers as (key: string, value: unknown) => unknown);
    const text = one.profileText ?? escapeUnicode(JSON.stringify(one.profile));
    return { ...one, text, overlayProfiles: new Map(Object.entries(one.overlayProfiles ?? {})) };
  });
}

/** YAML takes some of these for line breaks. */
function escapeUnicode(json: string): string {
  return json.replaceAll(
    /[\u0080-\ud7ff\ue000-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function resolved(one: ProfileCase): Profile {
  const read = (text: string): Profile => parseProfile(text, { unknownFields: 'ignore' }).profile;
  const overlayProfiles = new Map([...one.overlayProfiles].map(([name, text]) => [name, read(text)]));
  return resolveProfile(read(one.text), { overlayProfiles });
}

function withDefaults(profile: Profile, release: Release): Profile {
  const defaultVersion = VERSIONS[release];
  const traits = traitsOf(profile.version || defaultVersion);
  const complete = applyDefaults(profile, { traits, defaultVersion, existingSecureBootFiles: new Set() });
  checkProfile(complete, traits);
  return withEmbeddedConfig(complete);
}

/** Upstream turns an embedded configuration into one more extension before it prints the profile; here the build does. */
function withEmbeddedConfig(profile: Profile): Profile {
  if (profile.customization.embeddedMachineConfiguration === '') return profile;
  const archive = { imageRef: '', forceInsecure: false, tarballPath: '<tmp>/embedded-config.tar', ociPath: '' };
  const systemExtensions = [...profile.input.systemExtensions, archive];
  return { ...profile, input: { ...profile.input, systemExtensions } };
}

function checkPrinted(one: ProfileCase, expected: Expected, release: Release): void {
  const final = withDefaults(resolved(one), release);
  assert.equal(dumpProfile(final, { release }), expected.dump, one.id);
  assert.equal(outputFileName(final), expected.outputPath, one.id);
}

function checkRefused(id: string, run: () => unknown, says: RegExp, code: ErrorCode = 'invalid-input'): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof ImagerError, `${id}: ${String(error)}`);
    assert.equal(error.code, code, `${id}: ${error.message}`);
    assert.match(error.message, says, id);
    return true;
  });
}

for (const [name, count] of Object.entries(CASES)) {
  test(`${name}: dump and file name, or an error, as of 1.14`, () => {
    const cases = casesOf(name);
    assert.equal(cases.length, count);
    for (const one of cases) {
      const ours = REFUSED_ON_READING.find(({ id }) => id.test(one.id));
      if (ours !== undefined) checkRefused(one.id, () => resolved(one), ours.says);
      else if (one.expect.error === undefined) checkPrinted(one, one.expect, '1.14');
      else checkRefused(one.id, () => withDefaults(resolved(one), '1.14'), /: |want/);
    }
  });

  test(`${name}: dump as of 1.13`, () => {
    const cases = casesOf(name).filter((one) => {
      const isRead = one.expect.error === undefined && !REFUSED_ON_READING.some(({ id }) => id.test(one.id));
      return isRead && one.expectV1_13_9?.error === undefined;
    });
    for (const one of cases) checkPrinted(one, one.expectV1_13_9 ?? one.expect, '1.13');
  });

  test(`${name}: what upstream builds can be finalised, and nothing else`, () => {
    for (const one of casesOf(name)) {
      if (one.expect.error !== undefined || REFUSED_ON_READING.some(({ id }) => id.test(one.id))) continue;
      const finalise = (): Profile => finaliseProfile(resolved(one), { defaultVersion: VERSIONS['1.14'] });
      const refusal = refusalOf(one);
      if (refusal === undefined) assert.equal(dumpProfile(withEmbeddedConfig(finalise())), one.expect.dump, one.id);
      else checkRefused(one.id, finalise, refusal.says, refusal.code);
    }
  });
}
