/** One file out of a `newc` archive that comes as a stream: a compressed initramfs, which is read no further than to the end of that file. */
import type { StreamSink } from '../../bytes/write.ts';
import { invalid } from '../../errors.ts';
import type { Chunks } from '../../platform/types.ts';
import { MODE, typeOfMode } from '../../tree/mode.ts';
import { ALIGNMENT, decodeHeader, HEADER_SIZE, isHeader, MAX_NAME, TRAILER } from './header.ts';

/**
 * Writes the data of the first regular file called `name`, a leading `./` apart, to `sink`. False when the archive, up to its trailer, has none. Throws
 * `invalid-input` for what is no archive and for one that ends too early, and what the input and the sink throw.
 */
export async function copyMember(input: Chunks, name: string, sink: StreamSink): Promise<boolean> {
  const reader = new MemberReader(input);
  try {
    for (;;) {
      const at = reader.position;
      const head = await reader.take(HEADER_SIZE);
      if (!isHeader(head)) throw invalid(`cpio archive: no member at ${at}`);
      const { nameSize, size, mode } = decodeHeader(head, at);
      if (nameSize < 1 || nameSize > MAX_NAME) throw invalid(`cpio archive: a name of ${nameSize} bytes at ${at}`);
      const found = new TextDecoder().decode((await reader.take(nameSize)).subarray(0, -1));
      await reader.skip(-reader.position & (ALIGNMENT - 1));
      if (found === TRAILER) return false;
      if (found.replace(/^(?:\.?\/)+/, '') === name && typeOfMode(mode) === MODE.file) {
        await reader.copy(size, sink);
        return true;
      }
      await reader.skip(size);
      await reader.skip(-reader.position & (ALIGNMENT - 1));
    }
  } finally {
    await reader.close();
  }
}

class MemberReader {
  position = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(input: Chunks) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes; few. */
  async take(length: number): Promise<Uint8Array> {
    const data = new Uint8Array(length);
    let filled = 0;
    await this.#pass(length, async (part) => {
      data.set(part, filled);
      filled += part.length;
    });
    return data;
  }

  async skip(length: number): Promise<void> {
    await this.#pass(length, async () => undefined);
  }

  async copy(length: number, sink: StreamSink): Promise<void> {
    await this.#pass(length, (part) => sink.write(part));
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #pass(length: number, use: (part: Uint8Array) => Promise<void>): Promise<void> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw invalid(`cpio archive: ends at ${this.position}, in the middle of a member`);
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      this.position += part.length;
      left -= part.length;
      await use(part);
    }
  }
}
