/** OCI layouts of vectors, which are stored as one file. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { vectorFile } from './vectors.ts';

type Layouts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The layouts of `file` by name: their files by path, base64. */
export function vectorLayouts(file: string): Layouts {
  return JSON.parse(vectorFile(file).toString()) as Layouts;
}

/** Writes all layouts of `file` below `directory`. */
export async function writeVectorLayouts(directory: string, file: string): Promise<void> {
  for (const [name, files] of Object.entries(vectorLayouts(file))) await writeLayoutFiles(join(directory, name), files);
}

export async function writeLayoutFiles(directory: string, files: Layouts[string]): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), Buffer.from(content, 'base64'));
  }
}
