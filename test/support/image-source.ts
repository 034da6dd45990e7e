/** An image held in memory as a source, which counts what it is asked for and can be made to break. */
import type { Digest } from '../../src/bytes/units.ts';
import { ImagerError } from '../../src/errors.ts';
import type { ImageSource } from '../../src/oci/image-source.ts';
import { digestOf, type TestImage, withChildren } from './image.ts';

export interface TestSource extends ImageSource {
  /** `manifest <identifier>` and `blob <digest> <from>`, in order. */
  readonly asked: string[];
  /** In place of the stored blobs' bytes. */
  readonly served: Map<Digest, Uint8Array>;
  /** Bytes of an answer before it fails; counted down by `breaks`. */
  breakAfter: number;
  /** How many answers fail so, of those that have more bytes. */
  breaks: number;
  chunkSize: number;
  /** Called before each chunk of a blob. */
  onChunk: (() => void | Promise<void>) | undefined;
}

/** The image answers to `latest` and to its digest, its children to theirs. */
export function testSource(image: TestImage, label = 'registry.example/a'): TestSource {
  const all = withChildren(image);
  const manifests = new Map<string, TestImage>(all.map((one) => [digestOf(one.manifest), one]));
  manifests.set('latest', image);
  const blobs = new Map(all.flatMap((one) => one.blobs.map((blob): [Digest, Uint8Array] => [digestOf(blob), blob])));
  const findManifest: ImageSource['findManifest'] = async (identifier) => {
    source.asked.push(`manifest ${identifier}`);
    const found = manifests.get(identifier);
    return found && { digest: digestOf(found.manifest), mediaType: found.mediaType, raw: found.manifest };
  };
  const source: TestSource = {
    label,
    asked: [],
    served: blobs,
    breakAfter: 0,
    breaks: 0,
    chunkSize: 65_536,
    onChunk: undefined,
    async manifest(identifier) {
      const found = await findManifest(identifier);
      if (found === undefined) throw new ImagerError('dependency', `${label}:${identifier}: not found`);
      return found;
    },
    findManifest,
    referrers: async () => [],
    async blob({ digest }, from, signal) {
      source.asked.push(`blob ${digest} ${from}`);
      const data = source.served.get(digest);
      if (data === undefined) throw new ImagerError('dependency', `${label}: blob ${digest}: not found`);
      const broken = source.breaks > 0 && data.length - from > source.breakAfter;
      const end = broken ? from + source.breakAfter : data.length;
      if (broken) source.breaks--;
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        for (let at = from; at < end; at += source.chunkSize) {
          await source.onChunk?.();
          signal?.throwIfAborted();
          yield data.subarray(at, Math.min(end, at + source.chunkSize));
        }
        if (broken) throw new ImagerError('dependency', `${label}: connection reset`);
      };
      return { from, chunks: chunks() };
    },
  };
  return source;
}
