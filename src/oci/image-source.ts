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

export interface ImageSource {
  /** What messages call it: `registry.example/a/b`, `oci:DIR`, `oci-archive:FILE`. */
  readonly label: string;
  /** By tag, digest or layout name. Throws `dependency` when it is missing or refused. */
  manifest(identifier: string, signal?: AbortSignal): Promise<RawManifest>;
  /**
   * The blob's bytes from `from` on (a resumed download); nothing is verified here, the store does that while it writes.
   * A source that cannot start there answers with `from: 0`.
   */
  blob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    from: number,
    signal?: AbortSignal,
  ): Promise<{ readonly from: number; readonly chunks: Chunks }>;
}
