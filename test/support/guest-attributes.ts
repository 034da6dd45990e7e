/** Extended attributes as a guest sees them: busybox's own getfattr ends values at their first NUL, so Debian's comes along with its libraries. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { downloadPackages, filesOf } from '../../scripts/demo/debian-packages.ts';
import type { Entry } from '../../src/tree/tree.ts';

const LOADER = 'ld-linux-x86-64.so.2';
const LIBRARIES = 'lib/attributes';

/**
 * Tells all attributes below the current directory, one a line; for the shell of a guest that has `attributeReader`. What cannot be read is missing: a
 * complaint could come out in the middle of a line.
 */
export const TELL_ATTRIBUTES: string =
  `/${LIBRARIES}/${LOADER} --library-path /${LIBRARIES} /${LIBRARIES}/getfattr -R -P -h -d -m - -e base64 . 2>/dev/null | ` +
  `busybox awk '/^# file: / { file = substr($0, 9); next } NF { print "attribute", file, $0 }'`;

/** Programs for an initramfs of amd64, by path; executable. */
export async function attributeReader(scratch: string): Promise<Map<string, Uint8Array>> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo');
  const wanted = ['attr', 'libattr1', 'libc6'].map((name) => ({ name, architecture: 'amd64' as const }));
  const found = new Map<string, Uint8Array>();
  for (const deb of await downloadPackages(wanted, { directory: cache })) {
    const files = await filesOf(deb, /\/(getfattr|libattr\.so\.1[.\d]*|libc\.so\.6|ld-linux-x86-64\.so\.2)$/, scratch);
    for (const [path, data] of files) found.set(`${LIBRARIES}/${path.replace(/.*\//, '')}`, data);
  }
  return found;
}

/** What `TELL_ATTRIBUTES` says of `entry`, which the guest finds at `path`. */
export function attributeLines({ xattrs = new Map() }: Entry, path: string): string[] {
  // The kernel makes its own of capabilities, and refuses bytes that are none.
  const told = [...xattrs].filter(([name]) => name !== 'security.capability');
  return told.map(([name, value]) => `attribute ${path} ${name}=0s${Buffer.from(value).toString('base64')}`);
}
