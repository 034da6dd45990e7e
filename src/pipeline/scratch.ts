/** Directories for the time of one program. */
import { ImagerError } from '../errors.ts';
import type { Files, NewFile } from '../platform/types.ts';
import type { Workplace } from './workplace.ts';

/** As many runs at once, and remains of killed ones, as anybody has. */
const MAX_SCRATCH = 10_000;

/** Calls `use` with the path of a directory that is ours alone, not made yet, and removes it with all that is in it. Throws what `use` throws, `io`. */
export async function withScratch<T>(
  { platform, store }: Pick<Workplace, 'platform' | 'store'>,
  name: string,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  const { files } = platform;
  await files.makeDirectory(`${store}/tmp`);
  const claim = await claimFile(files, `${store}/tmp/${name}`);
  const directory = `${claim.path}.d`;
  try {
    // What a killed run left under the number that is ours now.
    await files.remove(directory);
    return await use(directory);
  } finally {
    await release(files, claim, directory);
  }
}

/** A directory that cannot be removed must not hide what happened in it: the next run of its number removes it. */
async function release(files: Files, claim: NewFile, directory: string): Promise<void> {
  await files.remove(directory).catch(() => undefined);
  await claim.close();
  await files.remove(claim.path);
}

/** Exclusive creation decides, between processes too. */
async function claimFile(files: Files, stem: string): Promise<NewFile> {
  for (let count = 0; count < MAX_SCRATCH; count++) {
    const path = `${stem}.${count}`;
    if ((await files.info(path, { noFollow: true })) !== undefined) continue;
    try {
      return await files.create(path);
    } catch (error) {
      if ((await files.info(path, { noFollow: true })) === undefined) throw error;
    }
  }
  throw new ImagerError('io', `${stem}: too many of them`, { hint: 'prune the store' });
}
