/** The judges of XFS volumes: xfsprogs 6.13, which knows all features we write, and GRUB 2.12. */
import { debianPrograms, type Programs } from './debian-programs.ts';

/** With the libraries that the programs called in tests load. */
const PACKAGES = [
  'xfsprogs',
  'grub-common',
  'libblkid1',
  'libbsd0',
  'libc6',
  'libcap2',
  'libdevmapper1.02.1',
  'libedit2',
  'libinih1',
  'libmd0',
  'libpcre2-8-0',
  'libselinux1',
  'libtinfo6',
  'libudev1',
  'liburcu8t64',
  'libuuid1',
];

export function xfsPrograms(): Promise<Programs> {
  return debianPrograms(PACKAGES);
}

/** What xfs_repair has to say besides naming its steps; nothing for a sound volume. */
export function complaintsOf(programs: Programs, image: string): string[] {
  const { code, text } = programs.run('xfs_repair', '-f', '-n', image);
  const lines = text.split('\n').filter((line) => !STEPS.test(line));
  return code === 0 ? lines : [...lines, `exit code ${code}`];
}

/** The sector size of the file system below the image cannot be asked for in all of them. */
const STEPS =
  /^$|^ {8}- |^Phase \d|^No modify flag set|^Cannot get host filesystem geometry|^Repair may fail if there is|^the image and the host/;
