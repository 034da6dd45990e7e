/** A registry that images are copied to. What is neither there nor in another of its repositories goes through a file, so that a broken download goes on where it was. */
import { ofSource } from '../bytes/bytes.ts';
import { type Digest, MIB } from '../bytes/units.ts';
import { type BlobFile, fetchBlob } from '../imagecache/fetch-blob.ts';
import type { CopyDestination, CopyOutcome } from '../oci/copy.ts';
import { readBlob } from '../oci/digest-check.ts';
import type { BlobSource, Descriptor } from '../oci/image-source.ts';
import { fetchManifest } from '../oci/registry/manifest-request.ts';
import { pushBlob } from '../oci/registry/push-blob.ts';
import type { PushContext } from '../oci/registry/push-context.ts';
import { pushManifest } from '../oci/registry/push-manifest.ts';
import { openPushSessions } from '../oci/registry/push-session.ts';
import { fetchReferrers } from '../oci/registry/referrers-request.ts';
import { refusedStatus } from '../oci/registry/registry-error.ts';
import type { Platform, Source } from '../platform/types.ts';
import type { Workplace } from './workplace.ts';

/** What the repositories of one run know of each other. */
export interface MirrorRegistry {
  readonly registry: string;
  /** Directory for blobs on their way; nobody else may use it. */
  readonly staging: string;
  /** Repositories that blobs were seen in: a registry takes them over from there. */
  readonly seen: Map<Digest, string>;
}

/** Throws `dependency` when the registry is out of reach. */
export async function openMirrorRepository(
  { platform, transport, signal }: Workplace,
  { registry, staging, seen }: MirrorRegistry,
  repository: string,
): Promise<CopyDestination & { readonly origin: string }> {
  const { mirrors = {}, insecure = false } = transport;
  const options = { mirrors, insecure, ...(signal === undefined ? {} : { signal }) };
  const sessions = await openPushSessions(platform, { registry, repository, tag: undefined }, options);
  const { tries, clock } = sessions.options;
  const context: PushContext = { session: sessions.open(), retry: { tries, clock }, insecure, signal };
  const label = `${registry}/${repository}`;
  const put = async (...[raw, identifier]: [Parameters<typeof pushManifest>[1], string]): Promise<CopyOutcome> => {
    const outcome = await pushManifest(context, raw, identifier, `manifest ${repository} ${identifier}`);
    return outcome === 'put' ? 'copied' : 'present';
  };
  let keeps: Promise<boolean> | undefined;
  return {
    label,
    origin: new URL(context.session.url('')).origin,
    async putBlob(descriptor, source, onBytes, stopped) {
      const { digest } = descriptor;
      const staged = stagedBlob(platform, source, descriptor, staging, stopped);
      const before = seen.get(digest);
      const origins = before === undefined || before === repository ? [] : [{ registry, repository: before }];
      const blob = { descriptor: { mediaType: '', ...descriptor }, bytes: ofSource(staged), origins };
      const outcome = await pushBlob({ ...context, signal: stopped }, blob, `blob ${digest}`, {
        sessionFor: sessions.open,
        onBytes,
      });
      seen.set(digest, repository);
      await staged.remove();
      return outcome === 'uploaded' ? 'copied' : outcome;
    },
    putDocument: (raw) => put(raw, raw.digest),
    putTag: (tag, raw) => put(raw, tag),
    async attachedAt(tag) {
      const wish = { identifier: tag, digest: undefined, what: `manifest ${repository}:${tag}`, signal };
      try {
        return [(await fetchManifest(platform, context.session, context.retry, wish)).manifest];
      } catch (error) {
        if (refusedStatus(error) === 404) return [];
        throw error;
      }
    },
    keepsReferrers(digest) {
      const wish = { digest, artifactType: undefined, what: `referrers of ${repository}@${digest}`, signal };
      keeps ??= fetchReferrers(context.session, context.retry, wish).then((listed) => listed !== undefined);
      return keeps;
    },
    finish: async () => undefined,
  };
}

interface StagedBlob extends Source {
  /** Also of a beginning that an earlier run left. */
  remove(): Promise<void>;
}

/** Bytes; what is smaller is kept in memory. */
const SMALL: number = MIB;

/** Fetched when it is first read, and checked before anything of it is seen. */
function stagedBlob(
  machine: Platform,
  source: BlobSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  directory: string,
  signal: AbortSignal,
): StagedBlob {
  const { digest, size } = descriptor;
  const path = `${directory}/${digest.slice('sha256:'.length)}`;
  const file: BlobFile = { path, partial: `${path}.partial` };
  let opened: Promise<Pick<Source, 'read'>> | undefined;
  const open = async (): Promise<Pick<Source, 'read'>> => {
    if (size <= SMALL) return inMemory(await readBlob(machine, source, descriptor, SMALL, signal));
    await machine.files.makeDirectory(directory);
    await fetchBlob(machine, { descriptor, source }, file, { signal });
    return machine.files.source(path);
  };
  return {
    key: digest,
    label: `blob ${digest}`,
    size,
    async read(position, into) {
      opened ??= open();
      await (await opened).read(position, into);
    },
    async remove() {
      await machine.files.remove(file.path);
      await machine.files.remove(file.partial);
    },
  };
}

function inMemory(data: Uint8Array): Pick<Source, 'read'> {
  return {
    async read(position, into) {
      into.set(data.subarray(position, position + into.length));
    },
  };
}
