/** The process as the commands see it: replaceable, so that a test runs `main` without a process of its own. */
import type { StreamSink } from '../bytes/write.ts';
import type { Chunks, Platform } from '../platform/types.ts';

export interface Terminal {
  readonly isTTY: boolean;
  /** Columns; 80 where unknown. */
  readonly columns: number;
  /** The stream itself, for the progress library. */
  readonly stream: NodeJS.WritableStream;
  write(text: string): void;
}

export interface Io {
  readonly platform: Platform;
  readonly stdin: Chunks;
  readonly stdinIsTTY: boolean;
  /** Artefacts and answers. */
  readonly stdout: Terminal & { readonly sink: StreamSink };
  /** Words. */
  readonly stderr: Terminal;
  /** Aborts on the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Seconds since 1970, for what is logged; never for what is built. */
  readonly now: () => number;
}
