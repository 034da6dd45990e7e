/** Where images come from: a registry, an OCI layout directory, an archive. All look the same to the store. */
import type { Digest } from '../bytes/units.ts';
import type { Chunks } from '../platform/types.ts';

/** OCI content descriptor (image-spec descriptor.md); members we do not use are dropped. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
}

/** OCI platform object (image-spec image-index.md). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** A manifest or index exactly as served: the digest is over `raw`, which is never serialised again. */
export interface RawManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly raw: Uint8Array;
}

export interface ReferrersOptions {
  /** Only artifacts that say they are of this type: `application/vnd.dev.sigstore.bundle.v0.3+json`. */
  readonly artifactType?: string;
  readonly signal?: AbortSignal;
}

/** Where content is had by digest. */
export interface BlobSource {
  /** What messages call it: `registry.example/a/b`, `oci:DIR`, `oci-archive:FILE`. */
  readonly label: string;
  /**
   * The blob's bytes from `from` on (a resumed download); nothing is verified here, the store does that while it writes.
   * A source that cannot start there answers with `from: 0`.
   */
  blob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    from: number,
    signal?: AbortSignal,
  ): Promise<{ readonly from: number; readonly chunks: Chunks }>;
  /** The source goes on by itself where a connection broke: when it gives up there is no use in asking again. */
  readonly isPersistent?: boolean;
  /** Told that what came was not the blob, or not all of it after such a blob: whoever sent it is not asked for it again. False where nobody else is left. */
  reject?(digest: Digest): boolean;
}

/** One repository, or what stands for one. */
export interface ImageSource extends BlobSource {
  /** By tag, digest or layout name. Throws `dependency` when it is missing or refused. */
  manifest(identifier: string, signal?: AbortSignal): Promise<RawManifest>;
  /**
   * As `manifest`, but `undefined` where there is none: a missing signature and a refusal are different things. Of several endpoints the
   * registry itself decides or, where it is out of reach, the mirrors that answer.
   */
  findManifest(identifier: string, signal?: AbortSignal): Promise<RawManifest | undefined>;
  /**
   * The manifests whose subject is `digest`, as far as the source keeps account of them itself; `referrersOf` also looks where clients write
   * them down. May list more than `artifactType` asks for.
   */
  referrers(digest: Digest, options?: ReferrersOptions): Promise<readonly Descriptor[]>;
}
