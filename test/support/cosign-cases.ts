/** The cases of test/vectors/cosign and the registries they describe. */
import { createHash } from 'node:crypto';
import { type Digest, parseDigest } from '../../src/bytes/units.ts';
import { ImagerError } from '../../src/errors.ts';
import type { SignatureDescriptor, SignatureSource } from '../../src/trust/collect.ts';
import type { SignaturePolicy } from '../../src/trust/policy.ts';
import { vectorLines } from './vectors.ts';

type BlobText =
  | { readonly text: string }
  | { readonly base64: string }
  | { readonly parts: readonly { readonly text?: string; readonly repeat?: string; readonly times?: number }[] };

export interface CosignCase {
  readonly id: string;
  readonly title: string;
  readonly image: { readonly digest: string; readonly reference?: string };
  readonly policy: SignaturePolicy;
  readonly trustedRoot: unknown;
  readonly registry: {
    readonly referrersApi: boolean;
    readonly manifests: readonly {
      readonly tag?: string;
      readonly mediaType: string;
      readonly digest: string;
      readonly text: string;
    }[];
    readonly blobs: Readonly<Record<string, BlobText>>;
  };
  readonly expect: { readonly verdict: 'accept' | 'refuse'; readonly reason: string; readonly either?: boolean };
}

export function cosignCases(): CosignCase[] {
  return vectorLines<CosignCase>('cosign/cases.jsonl.gz');
}

export function blobOf(blob: BlobText): Buffer {
  if ('text' in blob) return Buffer.from(blob.text);
  if ('base64' in blob) return Buffer.from(blob.base64, 'base64');
  return Buffer.concat(
    blob.parts.map(({ text, repeat, times = 1 }) => Buffer.from(text ?? (repeat ?? '').repeat(times))),
  );
}

/** The registry of a case, as the checks see one. */
export function signatureSourceOf({ registry }: CosignCase): SignatureSource {
  const { manifests, blobs, referrersApi } = registry;
  return {
    async manifest(identifier) {
      const found = manifests.find(({ tag, digest }) => tag === identifier || digest === identifier);
      return found === undefined
        ? undefined
        : { digest: parseDigest(found.digest), raw: new TextEncoder().encode(found.text) };
    },
    async referrers(digest) {
      return referrersApi ? bySubject(manifests, digest) : ofFallbackTag(manifests, digest);
    },
    async blob({ digest }) {
      const blob = blobs[digest];
      if (blob === undefined) throw new ImagerError('dependency', `${digest}: not found`);
      return new Uint8Array(blobOf(blob));
    },
  };
}

type Manifests = CosignCase['registry']['manifests'];

function bySubject(manifests: Manifests, subject: Digest): SignatureDescriptor[] {
  return manifests.flatMap(({ digest, text }) => {
    const document = JSON.parse(text);
    if (document.subject?.digest !== subject) return [];
    const { artifactType } = document;
    return [{ digest: parseDigest(digest), size: Buffer.byteLength(text), ...(artifactType && { artifactType }) }];
  });
}

function ofFallbackTag(manifests: Manifests, subject: Digest): SignatureDescriptor[] {
  const index = manifests.find(({ tag }) => tag === subject.replace(':', '-'));
  return index === undefined ? [] : (JSON.parse(index.text).manifests ?? []);
}

export function sha256(data: string | Uint8Array): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(data).digest('hex')}`);
}
