/** Listings as they are read: see `directory.ts`. */
import { viewOf } from '../../bytes/field.ts';
import { invalid } from '../../errors.ts';
import type { ListedName } from '../volume/walk.ts';
import { ENTRY_SIZE, HEADER_SIZE, MAXIMUM_RUN } from './directory.ts';
import type { DirectoryInode } from './inode.ts';
import type { MetadataReader } from './metadata-reader.ts';
import type { Reference } from './superblock.ts';

const MAXIMUM_NAME = 256;

/** The names of a directory, one after the other. Throws `invalid-input` where the listing is damaged. */
export async function* decodeListing(
  reader: MetadataReader,
  { number, size }: DirectoryInode,
): AsyncGenerator<ListedName<Reference>, void, undefined> {
  const damaged = (what: string): Error => invalid(`squashfs directory, inode ${number}: ${what}`);
  for (let left = size; left > 0; ) {
    if (left < HEADER_SIZE) throw damaged(`${left} bytes where a header should be`);
    const header = viewOf(await reader.read(HEADER_SIZE));
    const count = header.getUint32(0, true) + 1;
    const block = header.getUint32(4, true);
    if (count > MAXIMUM_RUN) throw damaged(`a header of ${count} entries`);
    left -= HEADER_SIZE;
    for (let index = 0; index < count; index++) {
      if (left < ENTRY_SIZE) throw damaged('an entry passes the end');
      const entry = viewOf(await reader.read(ENTRY_SIZE));
      const length = entry.getUint16(6, true) + 1;
      left -= ENTRY_SIZE + length;
      if (left < 0 || length > MAXIMUM_NAME) throw damaged(`a name of ${length} bytes`);
      yield { name: await reader.read(length), inode: { block, offset: entry.getUint16(0, true) } };
    }
  }
}
