/** Whom keyless signatures are believed from: certificate authorities, logs and time stampers. */
import { TrustedRoot as SigstoreRoot } from '@sigstore/protobuf-specs';
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify';
import { invalid, withContext } from '../errors.ts';
import { asObject, parseStrictJson } from './strict-json.ts';

/** Above it a file is no trusted root; the public one has 7 KiB. */
export const TRUSTED_ROOT_LIMIT: number = 1 << 20;

const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.trustedroot(?:\+json;version=0\.[12]|\.v0\.[12]\+json)$/;

export interface TrustedRoot {
  readonly material: TrustMaterial;
  /** What a report calls it: a path, or where it was built in from. */
  readonly origin: string;
}

/** A root that vouches for nobody: all that a key needs. */
export const EMPTY_ROOT: TrustedRoot = {
  material: { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey: noKey },
  origin: 'none',
};

/**
 * A TrustedRoot in the JSON form of its protobuf (media type `application/vnd.dev.sigstore.trustedroot+json;version=0.1`).
 * Throws `invalid-input` naming `origin`.
 */
export function parseTrustedRoot(raw: Uint8Array | string, origin: string): TrustedRoot {
  const document = asObject(parseStrictJson(raw, origin), origin);
  const { mediaType } = document;
  if (typeof mediaType !== 'string' || !MEDIA_TYPE.test(mediaType)) {
    throw invalid(`${origin}: media type ${JSON.stringify(mediaType) ?? 'missing'}, want a sigstore trusted root`, {
      hint: 'a trusted root begins with "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"',
    });
  }
  try {
    return { material: toTrustMaterial(SigstoreRoot.fromJSON(document), noKey), origin };
  } catch (cause) {
    throw withContext(origin, invalid('damaged trusted root', { cause }));
  }
}

function noKey(hint: string): never {
  throw invalid(`key ${JSON.stringify(hint)}: the trusted root has none`);
}
