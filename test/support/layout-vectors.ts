/** OCI layouts of vectors, which are stored as one file. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { vectorFile } from './vectors.ts';

type Layouts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Writes all layouts of `file`, base64 by name and path, below `directory`. */
export async function writeVectorLayouts(directory: string, file: string): Promise<void> {
  const layouts = JSON.parse(vectorFile(file).toString()) as Layouts;
  for (const [name, files] of Object.entries(layouts)) {
    for (const [path, content] of Object.entries(files)) {
      const place = join(directory, name, path);
      await mkdir(dirname(place), { recursive: true });
      await writeFile(place, Buffer.from(content, 'base64'));
    }
  }
}
