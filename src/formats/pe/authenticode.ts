/** What of a PE file a signature covers, and where signatures go. Source: spec boot-and-images 3.1, 3.2 (Microsoft, "Windows Authenticode Portable Executable Signature Format"). */
import { alignUp, type Bytes, concat, ofMemory, padToMultiple, patch, slice } from '../../bytes/bytes.ts';
import { invalid } from '../../errors.ts';
import { type PeImage, readPe } from './image.ts';
import { CERTIFICATE_DIRECTORY, CHECKSUM_FIELD, directoryField } from './optional-header.ts';

const REVISION_2 = 0x0200;
const PKCS_SIGNED_DATA = 0x0002;
/** Of a table entry before its certificate, bytes. */
const ENTRY_HEADER = 8;
/** Of the table in the file, and of each entry in the table. */
const ALIGNMENT = 8;

interface Places {
  readonly checksum: number;
  /** Of the data directory entry. */
  readonly directory: number;
  /** Where signatures begin; without any, the end of the file once it is padded. */
  readonly table: number;
}

/** The bytes whose digest is signed, in the order in which they are. Throws `invalid-input` naming `what`. */
export async function authenticodeContent(file: Bytes, what: string): Promise<Bytes> {
  const image = await readPe(file, what);
  const { checksum, directory, table } = placesOf(image, file, what);
  const headers = image.optional.sizeOfHeaders;
  const raw = image.sections.filter(({ rawSize }) => rawSize !== 0).toSorted((a, b) => a.rawOffset - b.rawOffset);
  const summed = raw.reduce((sum, { rawSize }) => sum + rawSize, headers);
  // What a signature is appended behind begins at a multiple of eight; of what is behind the table, nothing is signed.
  const padded = padToMultiple(file, ALIGNMENT);
  return concat([
    slice(file, 0, checksum),
    slice(file, checksum + 4, directory),
    slice(file, directory + 8, headers),
    ...raw.map(({ rawOffset, rawSize }) => slice(file, rawOffset, rawOffset + rawSize)),
    ...(table > summed ? [slice(padded, summed, table)] : []),
  ]);
}

/** The file with one more signature, a PKCS #7 ContentInfo in DER, behind those it has. Throws `invalid-input` naming `what`. */
export async function appendSignature(file: Bytes, signature: Uint8Array, what: string): Promise<Bytes> {
  const { directory, table } = placesOf(await readPe(file, what), file, what);
  const entry = new Uint8Array(alignUp(ENTRY_HEADER + signature.length, ALIGNMENT));
  const view = new DataView(entry.buffer);
  view.setUint32(0, ENTRY_HEADER + signature.length, true);
  view.setUint16(4, REVISION_2, true);
  view.setUint16(6, PKCS_SIGNED_DATA, true);
  entry.set(signature, ENTRY_HEADER);
  // Some signers leave the last entry of the table unpadded: the next one begins where readers of the table look for it.
  const signed = concat([padToMultiple(file, ALIGNMENT), ofMemory(entry)]);
  const record = new Uint8Array(8);
  const recordView = new DataView(record.buffer);
  recordView.setUint32(0, table, true);
  recordView.setUint32(4, signed.size - table, true);
  return patch(signed, [{ at: directory, bytes: ofMemory(record) }]);
}

function placesOf({ optional, optionalOffset }: PeImage, file: Bytes, what: string): Places {
  const entry = optional.directories[CERTIFICATE_DIRECTORY];
  const directory = optionalOffset + directoryField(CERTIFICATE_DIRECTORY);
  if (entry === undefined || directory + 8 > optional.sizeOfHeaders) {
    throw invalid(`${what}: no room for a certificate table`);
  }
  if (entry.size !== 0 && entry.address + entry.size !== file.size) {
    throw invalid(`${what}: its signatures are not at the end of the file`);
  }
  const table = entry.size === 0 ? alignUp(file.size, ALIGNMENT) : entry.address;
  if (table % ALIGNMENT !== 0) throw invalid(`${what}: signatures at ${table}: want a multiple of ${ALIGNMENT}`);
  return { checksum: optionalOffset + CHECKSUM_FIELD, directory, table };
}
