/** The command line of bubblewrap: a root of its own that holds what is mounted and nothing else. Source: bwrap(1). */
import { MIB } from '../bytes/units.ts';

/** A file or directory of the host that a contained program may see. */
export interface Mount {
  /** One path segment: what it is called below the root of a sandbox. */
  readonly name: string;
  /** Absolute path on the host. */
  readonly host: string;
  readonly writable: boolean;
}

/** Bytes of memory that `/tmp` may take. */
const TEMPORARY_SIZE: number = 64 * MIB;

/** Everything after `bwrap`. `command` is the program with its arguments, as seen from inside. */
export function bubblewrapArguments(mounts: readonly Mount[], command: readonly string[]): string[] {
  return [
    // Users, processes, network, IPC, host name, cgroups: nothing is shared. When the program ends, the kernel ends all it started.
    '--unshare-all',
    '--die-with-parent',
    // Away from the terminal, into which it could type.
    '--new-session',
    '--clearenv',
    // Root keeps its capabilities in there unless told otherwise.
    ...['--cap-drop', 'ALL'],
    ...['--dev', '/dev'],
    ...['--size', String(TEMPORARY_SIZE), '--tmpfs', '/tmp'],
    ...mounts.flatMap(({ name, host, writable }) => [writable ? '--bind' : '--ro-bind', host, `/${name}`]),
    ...['--chdir', '/'],
    // Both are memory without a bound otherwise.
    ...['--remount-ro', '/dev'],
    ...['--remount-ro', '/'],
    '--',
    ...command,
  ];
}
