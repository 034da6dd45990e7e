/** The judges of ext4 volumes: e2fsprogs 1.47.2, whose defaults are those of upstream's. */
import { join } from 'node:path';
import { debianPrograms, type Programs } from './debian-programs.ts';

/** With the libraries that the programs called in tests load; a volume can be filled from an archive with libarchive. */
const PACKAGES = [
  'e2fsprogs',
  'libacl1',
  'libarchive13t64',
  'libblkid1',
  'libbz2-1.0',
  'libc6',
  'libcom-err2',
  'libext2fs2t64',
  'liblz4-1',
  'liblzma5',
  'libnettle8t64',
  'libss2',
  'libuuid1',
  'libxml2',
  'libzstd1',
  'zlib1g',
];

/** mke2fs takes its own defaults, as the system's may be others, and `epoch` for now. */
export function ext4Programs(epoch: number): Promise<Programs> {
  return debianPrograms(PACKAGES, (root) => ({
    MKE2FS_CONFIG: join(root, 'etc/mke2fs.conf'),
    SOURCE_DATE_EPOCH: String(epoch),
  }));
}

/** What e2fsck has to say besides naming its steps; nothing for a sound volume. */
export function ext4Complaints(programs: Programs, image: string): string[] {
  const { code, text } = programs.run('e2fsck', '-f', '-n', image);
  const lines = text.split('\n').filter((line) => !STEPS.test(line));
  return code === 0 ? lines : [...lines, `exit code ${code}`];
}

/** At its end it counts files and blocks in use. */
const STEPS = /^$|^e2fsck \d|^Pass \d|: \d+\/\d+ files \(\d+\.\d% non-contiguous\), \d+\/\d+ blocks$/;
