/** The lock: what builds are made of, by digest, so that they are made of the same things until somebody says otherwise. */
import { parseDigest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import { decodeObject, type Located, type LocatedObject, problemOf } from '../machineconfig/decode.ts';
import type { FieldType, ObjectType } from '../machineconfig/field-types.ts';
import { type Problem, problemsError } from '../yaml/diagnostic.ts';
import { readFirstDocument } from '../yaml/document.ts';
import { emitYaml } from '../yaml/emit.ts';
import type { YamlValue } from '../yaml/value.ts';
import type { Plan } from './plan.ts';

/** Far above any lock, bytes. */
export const LOCK_LIMIT: number = 8 << 20;

const LOCK_VERSION = '1';

export interface LockedInput {
  readonly role: string;
  /** Reference or path, as given. */
  readonly from: string;
  readonly digest: string;
}

export interface LockedImage {
  /** `registry/repository`. */
  readonly image: string;
  /** Of what its name led to. */
  readonly digest: string;
  /** Who signed it, or that nobody need. */
  readonly signedBy: string;
}

/** One build: what was asked for, and what it is made of. */
export interface LockedBuild {
  readonly profile: string;
  readonly arch: string;
  readonly talosVersion: string;
  /** Flags that decide about inputs, as they were given; a repeated one several times. */
  readonly flags: readonly string[];
  readonly inputs: readonly LockedInput[];
  readonly images: readonly LockedImage[];
}

/** What of a resolved plan is pinned. Throws `RangeError` for a plan that was not resolved. */
export function lockBuild(profile: string, flags: readonly string[], plan: Plan): LockedBuild {
  return {
    profile,
    arch: plan.profile.arch,
    talosVersion: plan.profile.version,
    flags,
    inputs: plan.inputs.map(({ role, reference, path, digest }) => {
      if (digest === null) throw new RangeError(`plan is not resolved: ${role} has no digest`);
      return { role, from: reference ?? path ?? '', digest };
    }),
    images: plan.verifications.map(({ image, digest, status, subject, issuer }) => ({
      image,
      digest,
      signedBy: status === 'not verified' ? 'nobody' : subject === undefined ? 'the key' : `${subject} (${issuer})`,
    })),
  };
}

/** One line each for what is not as it was locked; none for a build that is. */
export function lockDifferences(locked: LockedBuild, found: LockedBuild): string[] {
  const lines: string[] = [];
  const name = ({ role, from }: LockedInput): string => `${role} ${from}`;
  const wanted = new Map(locked.inputs.map((input) => [name(input), input]));
  for (const input of found.inputs) {
    const pinned = wanted.get(name(input));
    wanted.delete(name(input));
    if (pinned === undefined) lines.push(`${name(input)}: added, ${input.digest}`);
    else if (pinned.digest !== input.digest) lines.push(`${name(input)}: ${input.digest}, locked ${pinned.digest}`);
  }
  lines.push(...[...wanted.values()].map((input) => `${name(input)}: gone, locked ${input.digest}`));
  const signers = new Map(locked.images.map(({ image, signedBy }) => [image, signedBy]));
  for (const { image, signedBy } of found.images) {
    const before = signers.get(image);
    if (before !== undefined && before !== signedBy) lines.push(`${image}: signed by ${signedBy}, locked ${before}`);
  }
  return lines;
}

/** Throws `verification` naming everything that moved. */
export function requireLocked(locked: LockedBuild, found: LockedBuild, file: string): void {
  const differences = lockDifferences(locked, found);
  if (differences.length === 0) return;
  throw new ImagerError('verification', [`not as ${file} has it:`, ...differences].join('\n  '), {
    hint: 'imager lock --update accepts what there is now, and shows the difference',
  });
}

export function findLocked(builds: readonly LockedBuild[], profile: string, arch: string, file: string): LockedBuild {
  const found = builds.find((build) => build.profile === profile && build.arch === arch);
  if (found !== undefined) return found;
  const there = builds.map((build) => `${build.profile} for ${build.arch}`).join(', ') || 'nothing';
  throw invalid(`${file}: no lock of ${profile} for ${arch}, it has ${there}`, {
    hint: `imager lock ${profile} --arch ${arch} > ${file}`,
  });
}

/** As a YAML document, the same for the same builds. */
export function formatLock(builds: readonly LockedBuild[]): string {
  const header = '# What builds are made of. Written by imager lock; imager lock --update renews it.\n';
  return header + emitYaml({ version: LOCK_VERSION, builds: builds.map(buildValue) });
}

function buildValue({ inputs, images, ...build }: LockedBuild): YamlValue {
  return { ...build, inputs: inputs.map((input) => ({ ...input })), images: images.map((image) => ({ ...image })) };
}

const TEXT = { type: { kind: 'string' } as const satisfies FieldType };
const INPUT = listOf({ role: TEXT, from: TEXT, digest: TEXT });
const IMAGE = listOf({ image: TEXT, digest: TEXT, signedBy: TEXT });
const LOCK: ObjectType = {
  kind: 'object',
  fields: {
    version: TEXT,
    builds: listOf({
      profile: TEXT,
      arch: TEXT,
      talosVersion: TEXT,
      flags: { type: { kind: 'list', of: TEXT.type } },
      inputs: INPUT,
      images: IMAGE,
    }),
  },
};

function listOf(fields: ObjectType['fields']): { readonly type: FieldType } {
  return { type: { kind: 'list', of: { kind: 'object', fields } } };
}

/** Throws `invalid-input` with the places of all mistakes. */
export function parseLock(text: string, file: string): LockedBuild[] {
  const { source, document, problems: broken } = readFirstDocument(text, { file });
  if (broken.length > 0) throw problemsError(source, broken);
  if (document === undefined) throw invalid(`${file}: empty, want a lock`);
  const problems: Problem[] = [];
  const lock = decodeObject(document, LOCK, { foreignNames: {} }, problems);
  const version = textOf(lock, 'version');
  if (problems.length === 0 && version !== LOCK_VERSION) {
    problems.push(problemOf(lock, `version ${JSON.stringify(version)}: want ${LOCK_VERSION}`));
  }
  const builds = itemsOf(lock, 'builds').map((build) => ({
    profile: textOf(build, 'profile'),
    arch: textOf(build, 'arch'),
    talosVersion: textOf(build, 'talosVersion'),
    flags: itemsOf(build, 'flags').map(({ value }) => String(value)),
    inputs: itemsOf(build, 'inputs').map((input) => ({
      role: textOf(input, 'role'),
      from: textOf(input, 'from'),
      digest: digestOf(input, problems),
    })),
    images: itemsOf(build, 'images').map((image) => ({
      image: textOf(image, 'image'),
      digest: digestOf(image, problems),
      signedBy: textOf(image, 'signedBy'),
    })),
  }));
  if (problems.length > 0) throw problemsError(source, problems);
  return builds;
}

function digestOf(located: LocatedObject, problems: Problem[]): string {
  const text = textOf(located, 'digest');
  try {
    return parseDigest(text);
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    problems.push(problemOf(located.fields.get('digest') ?? located, error.message));
    return text;
  }
}

function textOf({ fields }: LocatedObject, name: string): string {
  return String(fields.get(name)?.value ?? '');
}

function itemsOf({ fields }: LocatedObject, name: string): readonly LocatedObject[] {
  const value = fields.get(name)?.value;
  return Array.isArray(value) ? (value as readonly Located[] as readonly LocatedObject[]) : [];
}
