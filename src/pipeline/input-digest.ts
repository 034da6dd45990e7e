/** Digests of inputs on this machine: what a plan names them by, and what a build holds them to. */
import { type Bytes, ofSource, ofText } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { digest } from '../bytes/read.ts';
import { type Digest, parseDigest } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { AssetPlace } from './asset-places.ts';
import { type GrubFiles, grubOfDirectory } from './grub-files.ts';
import type { Workplace } from './workplace.ts';

/** Of the content that lies at a place on this machine. Throws `io`, `canceled`. */
export async function digestOfPlace(workplace: Workplace, { role, path }: AssetPlace): Promise<Digest> {
  const { files } = workplace.platform;
  return role === 'grub'
    ? digestOfGrub(workplace, await grubOfDirectory(files, path))
    : digestOfContent(workplace, ofSource(await files.source(path)));
}

/** SHA-256 of all bytes. Throws `io`, `canceled`. */
export async function digestOfContent({ platform, signal }: Workplace, bytes: Bytes): Promise<Digest> {
  try {
    const options = signal === undefined ? {} : { signal };
    return parseDigest(`sha256:${toHex(await digest(bytes, platform.hash('sha256'), options))}`);
  } catch (error) {
    if (signal?.aborted !== true || error instanceof ImagerError) throw error;
    throw new ImagerError('canceled', 'stopped while inputs were read', { cause: error });
  }
}

/** Throws `verification` for an input that is not the planned one. */
export function checkPinned(what: string, found: Digest, pinned: Digest | undefined): void {
  if (pinned === undefined || found === pinned) return;
  throw new ImagerError('verification', `${what}: ${found}, the plan wants ${pinned}`, {
    hint: 'it changed since it was planned: plan again',
  });
}

/** Over everything an image may take from it: one JSON line per file and link in tree order, and one for the font. Throws `io`, `canceled`. */
export async function digestOfGrub(workplace: Workplace, { platforms, font }: GrubFiles): Promise<Digest> {
  const lines: string[] = [];
  const add = (...line: readonly string[]): void => {
    lines.push(`${JSON.stringify(line)}\n`);
  };
  for (const entry of platforms.entries) {
    if (entry.kind === 'file') add('file', entry.path, await digestOfContent(workplace, entry.content));
    else if (entry.kind === 'symlink') add('link', entry.path, entry.target);
  }
  if (font !== undefined) add('font', await digestOfContent(workplace, font));
  return digestOfContent(workplace, ofText(lines.join('')));
}
