/** What of a PE file a signature covers, and where signatures go. Source: spec boot-and-images 3.1, 3.2 (Microsoft, "Windows Authenticode Portable Executable Signature Format"). */
import { alignUp, type Bytes, concat, ofMemory, padToMultiple, patch, slice, zeros } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { readPe } from './image.ts';

/** Within the optional header of PE32+. */
const CHECKSUM = 64;
const CERTIFICATE_TABLE = 144;
const REVISION_2 = 0x0200;
const PKCS_SIGNED_DATA = 0x0002;
/** Of a table entry before its certificate, bytes. */
const ENTRY_HEADER = 8;
const ALIGNMENT = 8;

interface Places {
  readonly checksum: number;
  /** Of the data directory entry. */
  readonly directory: number;
  readonly table: { readonly offset: number; readonly size: number };
}

/** The bytes whose digest is signed, in the order in which they are. Throws `invalid-input` naming `what`. */
export async function authenticodeContent(file: Bytes, what: string): Promise<Bytes> {
  const { optional, sections } = await readPe(file, what);
  const { checksum, directory, table } = await placesOf(file, what);
  const headers = optional.sizeOfHeaders;
  const raw = sections.filter(({ rawSize }) => rawSize !== 0).toSorted((a, b) => a.rawOffset - b.rawOffset);
  const summed = raw.reduce((sum, { rawSize }) => sum + rawSize, headers);
  const end = file.size - table.size;
  const parts = [
    slice(file, 0, checksum),
    slice(file, checksum + 4, directory),
    slice(file, directory + 8, headers),
    ...raw.map(({ rawOffset, rawSize }) => slice(file, rawOffset, rawOffset + rawSize)),
    ...(end > summed ? [slice(file, summed, end)] : []),
  ];
  // What a signature is appended behind begins at a multiple of eight.
  return concat([...parts, zeros(alignUp(file.size, ALIGNMENT) - file.size)]);
}

/** The file with one more signature, a PKCS #7 ContentInfo in DER, behind those it has. Throws `invalid-input` naming `what`. */
export async function appendSignature(file: Bytes, signature: Uint8Array, what: string): Promise<Bytes> {
  const { directory, table } = await placesOf(file, what);
  const entry = new Uint8Array(alignUp(ENTRY_HEADER + signature.length, ALIGNMENT));
  const view = new DataView(entry.buffer);
  view.setUint32(0, ENTRY_HEADER + signature.length, true);
  view.setUint16(4, REVISION_2, true);
  view.setUint16(6, PKCS_SIGNED_DATA, true);
  entry.set(signature, ENTRY_HEADER);
  const padded = padToMultiple(file, ALIGNMENT);
  const record = new Uint8Array(8);
  const recordView = new DataView(record.buffer);
  recordView.setUint32(0, table.size === 0 ? padded.size : table.offset, true);
  recordView.setUint32(4, table.size + entry.length, true);
  return patch(concat([padded, ofMemory(entry)]), [{ at: directory, bytes: ofMemory(record) }]);
}

async function placesOf(file: Bytes, what: string): Promise<Places> {
  const { optionalOffset, optional } = await readPe(file, what);
  const directory = optionalOffset + CERTIFICATE_TABLE;
  if (directory + 8 > optional.sizeOfHeaders) throw invalid(`${what}: no room for a certificate table`);
  const record = await read(file, directory, 8);
  const view = new DataView(record.buffer, record.byteOffset);
  const table = { offset: view.getUint32(0, true), size: view.getUint32(4, true) };
  if (table.size !== 0 && table.offset + table.size !== file.size) {
    throw invalid(`${what}: its signatures are not at the end of the file`);
  }
  return { checksum: optionalOffset + CHECKSUM, directory, table };
}
