/** Vector files: one JSON object per line, plain or gzip. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** `name` is relative to `test/vectors`. */
export function vectorFile(name: string): Buffer {
  const data = readFileSync(new URL(`../vectors/${name}`, import.meta.url));
  return name.endsWith('.gz') ? gunzipSync(data) : data;
}

export function vectorLines<T>(name: string): T[] {
  return vectorFile(name)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** What every vector of a whole build begins with: one run of upstream's imager. */
export interface UpstreamRun {
  readonly id: string;
  /** Its version, without `v`. */
  readonly imager: string;
  /** YAML. */
  readonly profile: string;
  /** Seconds since 1970. */
  readonly sourceDateEpoch: string;
  readonly rc: number;
  /** Where `rc` is not 0. */
  readonly errorLine?: string;
}

/** A file or directory of a volume that upstream made. */
export interface UpstreamFile {
  readonly path: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  /** Bytes; directories have none. */
  readonly size?: number;
  readonly sha256?: string;
}

/** How often a fuzz test turns: `FUZZ_RUNS`, small unless set. A share of it must be made whole: fast-check never ends a part of a turn. */
export const FUZZ_RUNS: number = Number(process.env.FUZZ_RUNS ?? 500);
