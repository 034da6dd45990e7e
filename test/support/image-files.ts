/** Images as files, for other programs to judge: in a directory of the test file's own that goes with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Bytes, ofSource } from '../../src/bytes/bytes.ts';
import { writeToFile } from '../../src/bytes/write.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';

export interface ImageFiles {
  readonly platform: Platform;
  readonly directory: string;
  /** A path where nothing is yet: with a fixed name tests that run at once would meet. */
  readonly newPath: () => string;
  /** The file with these bytes, by default at a new path. */
  readonly written: (bytes: Bytes, path?: string) => Promise<string>;
  readonly opened: (path: string) => Promise<Bytes>;
}

export function imageFiles(): ImageFiles {
  const platform = nodePlatform();
  const directory = mkdtempSync(join(tmpdir(), 'bootwright-images-'));
  after(async () => {
    rmSync(directory, { recursive: true });
    await platform.close();
  });
  let made = 0;
  const newPath = (): string => {
    made++;
    return join(directory, `${made}.img`);
  };
  return {
    platform,
    directory,
    newPath,
    async written(bytes, path = newPath()) {
      await writeToFile(platform.files, path, bytes);
      return path;
    },
    opened: async (path) => ofSource(await platform.files.source(path)),
  };
}
