/** One gzip member put together from parts (RFC 1952 section 2.3). */
import { type Bytes, concat, ofMemory } from '../../bytes/bytes.ts';
import { crc32Combine, crc32OfZeros } from '../../bytes/crc32-combine.ts';
import { structure } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import { FINAL_BLOCK, storedBlocks, zeroBlock } from './deflate.ts';

export type MemberPart =
  | { readonly kind: 'zeros'; readonly length: number }
  | { readonly kind: 'stored'; readonly content: Bytes; readonly crc: number }
  /** A raw deflate stretch that refers to nothing before it, ends on a byte boundary and is not final; `crc` and `length` of its content. */
  | { readonly kind: 'deflated'; readonly length: number; readonly crc: number; readonly stretch: Bytes };

export interface GzipOptions {
  /** FNAME: what the content was called, ISO 8859-1 without NUL. */
  readonly name?: string;
}

/** The member. Modification time 0: none. Throws `invalid-input` for a name the header cannot hold. */
export function layoutGzip(parts: readonly MemberPart[], options: GzipOptions = {}): Bytes {
  const blocks: Bytes[] = [];
  let size = 0;
  let crc = 0;
  for (const part of parts) {
    const length = part.kind === 'stored' ? part.content.size : part.length;
    if (length === 0) continue;
    blocks.push(blocksOf(part));
    size += length;
    crc = crc32Combine(crc, part.kind === 'zeros' ? crc32OfZeros(length) : part.crc, length);
  }
  return concat([ofMemory(header(options.name)), ...blocks, FINAL_BLOCK, ofMemory(trailer(crc, size))]);
}

function blocksOf(part: MemberPart): Bytes {
  switch (part.kind) {
    case 'zeros':
      return zeroBlock(part.length);
    case 'stored':
      return storedBlocks(part.content);
    case 'deflated':
      return part.stretch;
  }
}

const DEFLATE = 8;
const HAS_NAME = 8;
const UNIX = 3;

function header(name: string | undefined): Uint8Array {
  const named = name !== undefined && name !== '';
  const fixed = [0x1f, 0x8b, DEFLATE, named ? HAS_NAME : 0, 0, 0, 0, 0, 0, UNIX];
  return Uint8Array.from(named ? [...fixed, ...latin1(name), 0] : fixed);
}

function latin1(text: string): number[] {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    if (code === 0 || code > 0xff) throw invalid(`gzip name "${text}": want ISO 8859-1 without NUL`);
    return code;
  });
}

/** CRC-32 and the size modulo 2^32, little-endian. */
function trailer(crc: number, size: number): Uint8Array {
  const { data, view } = structure(8);
  view.setUint32(0, crc, true);
  view.setUint32(4, size % 2 ** 32, true);
  return data;
}
