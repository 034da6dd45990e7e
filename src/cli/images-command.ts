/** `imager images`: a list for other tools. */
import { ImagerError } from '../errors.ts';
import { DEFAULT_TALOS_VERSION } from '../profiles/defaults.ts';
import { readImageList } from './image-list.ts';
import type { Io } from './io.ts';
import type { ImageListFlags } from './mirror-flags.ts';

/** Of the release we know best unless told. */
export async function runImages(flags: ImageListFlags, io: Io): Promise<number> {
  const { talosVersion = [], profile = [], image = [] } = flags;
  if (talosVersion.length + profile.length === 0 && image.length > 0) {
    throw new ImagerError(
      'usage',
      'images: --image alone lists what you have listed, want --talos-version or --profile',
    );
  }
  const wish = talosVersion.length + profile.length === 0 ? { ...flags, talosVersion: [DEFAULT_TALOS_VERSION] } : flags;
  const { images, warnings } = await readImageList(wish, io);
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  io.stdout.write(
    flags.json === true ? `${JSON.stringify({ images }, null, 2)}\n` : images.map((each) => `${each}\n`).join(''),
  );
  return 0;
}
