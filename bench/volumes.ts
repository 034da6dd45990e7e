/** File systems of many files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { skipWithout } from '../test/support/tools.ts';
import { atMost, type Bench, milliseconds, notMeasured, type Row } from './figure.ts';
import { settle } from './imager.ts';
import { median, repeat } from './measure.ts';

const DIRECTORIES = 100;
const FILES_EACH = 100;
/** Bytes of each file: one block, and a little more. */
const FILE_SIZE = 5000;
const VOLUME_SIZE = '1g';

/** What ours are told to hold is described by the numbers above; theirs read it from a directory. */
const PEERS = {
  xfs: {
    program: 'mkfs.xfs',
    with: 'a prototype',
    command: ({ prototype, volume }) => [
      'mkfs.xfs',
      '-q',
      '-p',
      prototype,
      '-d',
      `file,name=${volume},size=${VOLUME_SIZE}`,
    ],
  },
  ext4: {
    program: 'mke2fs',
    with: 'a directory',
    command: ({ files, volume }) => ['mke2fs', '-q', '-t', 'ext4', '-d', files, volume, VOLUME_SIZE],
  },
} as const satisfies Record<string, Peer>;

interface Peer {
  readonly program: string;
  readonly with: string;
  readonly command: (paths: Inputs & { readonly volume: string }) => readonly string[];
}

interface Inputs {
  readonly files: string;
  /** In the form of mkfs.xfs. */
  readonly prototype: string;
}

/** Deciding where all of it lies and making the metadata, in a process of its own each time: what a build has to wait for. */
export function volumes({ directory, runs }: Bench): Row[] {
  const inputs = writeInputs(directory);
  return Object.entries<Peer>(PEERS).map(([format, { program, with: source, command }]) => {
    const what = `${format} of ${DIRECTORIES * FILES_EACH} files, laid out`;
    const missing = skipWithout(program);
    if (missing !== false) return notMeasured(what, missing);
    const volume = join(directory, format);
    const peer = repeat({ command: command({ ...inputs, volume }), prepare: () => settle(volume) }, runs);
    const ours = median(Array.from({ length: runs }, () => layoutSeconds(format)));
    return {
      what,
      ours: milliseconds(ours),
      peer: `${program} with ${source}: ${milliseconds(peer.wall)}`,
      ...atMost(ours * 1000, 1000, ' ms', 0),
    };
  });
}

function layoutSeconds(format: string): number {
  const script = fileURLToPath(new URL('lay-out-volume.ts', import.meta.url));
  const numbers = [DIRECTORIES, FILES_EACH, FILE_SIZE].map(String);
  return Number(execFileSync(process.execPath, [script, format, ...numbers], { encoding: 'utf8' })) / 1000;
}

function writeInputs(directory: string): Inputs {
  const files = join(directory, 'files');
  // Nothing boots from it; then the least the format wants: no blocks, no inodes, a root.
  const lines = ['-', '0 0', 'd--755 0 0'];
  for (let index = 0; index < DIRECTORIES; index++) {
    const name = `directory-${index}`;
    mkdirSync(join(files, name), { recursive: true });
    lines.push(`${name} d--755 0 0`);
    for (let each = 0; each < FILES_EACH; each++) {
      const path = join(files, name, `file-${each}`);
      writeFileSync(path, new Uint8Array(FILE_SIZE).fill(each + 1));
      lines.push(`file-${each} ---644 0 0 ${path}`);
    }
    lines.push('$');
  }
  lines.push('$');
  const prototype = join(directory, 'prototype');
  writeFileSync(prototype, `${lines.join('\n')}\n`);
  return { files, prototype };
}
