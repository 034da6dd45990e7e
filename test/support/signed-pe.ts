/** Signed PE files as other signers leave them. */

import { decodePe } from '../../src/formats/pe/image.ts';
import { CERTIFICATE_DIRECTORY, directoryField } from '../../src/formats/pe/optional-header.ts';

/** The file with one signature cut where its certificate ends, as signers leave it that do not pad the table. */
export function withoutTablePadding(signed: Uint8Array): Uint8Array {
  const { optional, optionalOffset } = decodePe(signed, 'signed file');
  const { address } = optional.directories[CERTIFICATE_DIRECTORY]!;
  const length = new DataView(signed.buffer, signed.byteOffset).getUint32(address, true);
  const cut = signed.slice(0, address + length);
  new DataView(cut.buffer).setUint32(optionalOffset + directoryField(CERTIFICATE_DIRECTORY) + 4, length, true);
  return cut;
}
