/**
 * What was looked at to judge an image, kept so that it can be judged again where nothing may be contacted: by the rules of that day, not by
 * the verdict of this one.
 */
import type { Digest } from '../bytes/units.ts';
import { ImagerError, invalid } from '../errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import type { SignatureDescriptor, SignatureManifest, SignatureSource } from './collect.ts';

/** JSON; contents in base64. */
export interface SignatureRecord {
  readonly manifests: Record<string, { readonly digest: Digest; readonly raw: string } | null>;
  readonly referrers: Record<string, readonly SignatureDescriptor[]>;
  readonly blobs: Record<string, string>;
}

export interface Recording {
  readonly source: SignatureSource;
  /** What was answered so far. */
  readonly record: SignatureRecord;
}

/** The same source; what it answers is written down. What it fails to answer is not. */
export function recordSignatures(source: SignatureSource): Recording {
  const record: SignatureRecord = { manifests: {}, referrers: {}, blobs: {} };
  return {
    record,
    source: {
      async manifest(identifier) {
        const found = await source.manifest(identifier);
        record.manifests[identifier] =
          found === undefined ? null : { digest: found.digest, raw: encodeBase64(found.raw) };
        return found;
      },
      async referrers(digest) {
        const found = await source.referrers(digest);
        record.referrers[digest] = found.map(({ digest: one, size, artifactType }) => ({
          digest: one,
          size,
          ...(artifactType === undefined ? {} : { artifactType }),
        }));
        return found;
      },
      async blob(descriptor) {
        const found = await source.blob(descriptor);
        record.blobs[descriptor.digest] = encodeBase64(found);
        return found;
      },
    },
  };
}

/** What was kept, or something else: throws `invalid-input` unless it is a record. */
export function parseSignatureRecord(raw: Uint8Array): SignatureRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw));
  } catch (cause) {
    throw invalid('kept signatures: want JSON', { cause });
  }
  const { manifests, referrers, blobs } = isMap(value) ? value : {};
  const isRecord =
    isMapOf(
      manifests,
      (one) => one === null || (isMap(one) && isDigestText(one.digest) && typeof one.raw === 'string'),
    ) &&
    isMapOf(referrers, (one) => Array.isArray(one) && one.every(isDescriptor)) &&
    isMapOf(blobs, (one) => typeof one === 'string');
  if (!isRecord) throw invalid('kept signatures: want manifests, referrers and blobs');
  return { manifests, referrers, blobs } as SignatureRecord;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMapOf(value: unknown, isMember: (member: unknown) => boolean): boolean {
  return isMap(value) && Object.values(value).every(isMember);
}

function isDigestText(value: unknown): boolean {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value);
}

function isDescriptor(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { digest, size, artifactType } = value;
  return isDigestText(digest) && Number.isSafeInteger(size) && ['string', 'undefined'].includes(typeof artifactType);
}

/** Answers from a record; what it has not is `dependency`, since nobody can be asked. */
export function replaySignatures({ manifests, referrers, blobs }: SignatureRecord): SignatureSource {
  return {
    async manifest(identifier): Promise<SignatureManifest | undefined> {
      const found = own(manifests, identifier);
      return found === null ? undefined : { digest: found.digest, raw: decodeBase64(found.raw, identifier) };
    },
    async referrers(digest) {
      return own(referrers, digest);
    },
    async blob({ digest }) {
      return decodeBase64(own(blobs, digest), digest);
    },
  };
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T {
  const found = Object.hasOwn(record, key) ? record[key] : undefined;
  if (found === undefined) throw new ImagerError('dependency', `${key}: not among the signatures that were kept`);
  return found;
}
