/** Reading fixed VHD images. */
import { type Bytes, slice } from '../../bytes/bytes.ts';
import { read } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import { decodeFooter, FOOTER_SIZE, type VhdFooter } from './footer.ts';

export interface Vhd {
  readonly footer: VhdFooter;
  /** A slice of the file. */
  readonly disk: Bytes;
}

/** Throws `invalid-input` for a damaged file, `unsupported` for dynamic and differencing disks. */
export async function decodeVhd(file: Bytes): Promise<Vhd> {
  if (file.size < FOOTER_SIZE) throw invalid(`VHD: ${file.size} bytes hold no footer`);
  const end = file.size - FOOTER_SIZE;
  const footer = decodeFooter(await read(file, end, FOOTER_SIZE));
  if (footer.size > end) throw invalid(`VHD: disk of ${footer.size} bytes in a file of ${file.size}`);
  return { footer, disk: slice(file, 0, footer.size) };
}
