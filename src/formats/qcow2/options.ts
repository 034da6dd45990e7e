/** What the options of qemu-img for qcow2 mean here. */
import { invalid } from '../../errors.ts';
import { parseDiskFormatOptions, parseOptionSize, unknownOption, unsupportedOption } from '../disk-format-options.ts';
import { checkClusterSize } from './header.ts';

export interface Qcow2Options {
  /** Bytes: a power of two from 512 to 2 MiB. Default 65536. */
  readonly clusterSize?: number;
  /**
   * Whether clusters of one source range are stored once. Default true. Off for a file that a machine will write to in place and that `qemu-img check` shall
   * then find clean: when one copy is written, QEMU leaves the other without its COPIED bit. It reads and writes right, but check calls that an error
   * (`-r all` sets the bit).
   */
  readonly shareClusters?: boolean;
}

/** Options whose effect on the file is that of their default: other values would change what we write. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  compat: ['1.1', 'v3'],
  compression_type: ['zlib'],
  encryption: ['off', 'no', 'false', 'n'],
  extended_l2: ['off', 'no', 'false', 'n'],
  lazy_refcounts: ['off', 'no', 'false', 'n'],
  preallocation: ['off'],
  refcount_bits: ['16'],
};

/** Throws `invalid-input` for unknown options and bad values, `unsupported` for what qemu-img can and this writer cannot. */
export function parseQcow2Options(text: string): Qcow2Options {
  let options: Qcow2Options = {};
  for (const [key, value] of parseDiskFormatOptions(text)) {
    const fixed = Object.hasOwn(FIXED, key) ? FIXED[key] : undefined;
    if (key === 'cluster_size') {
      const clusterSize = parseOptionSize(key, value);
      checkClusterSize(clusterSize);
      options = { clusterSize };
    } else if (fixed === undefined) {
      throw unknownOption('qcow2', key, ['cluster_size', ...Object.keys(FIXED)]);
    } else if (value === '') {
      throw invalid(`qcow2 option ${key}: want a value`);
    } else if (!fixed.includes(value)) {
      throw unsupportedOption('qcow2', key, value, fixed[0]!);
    }
  }
  return options;
}
