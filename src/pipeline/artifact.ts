/** What a build gives: the same value for a file, standard output or an HTTP answer. */
import type { Bytes } from '../bytes/bytes.ts';

/** A finished build. Its bytes refer to the store and to the user’s files, which must stay as long as it is used. */
export interface Artifact {
  /** File name, as upstream names it. */
  readonly name: string;
  readonly mediaType: string;
  /** Nothing of it is read before somebody writes, streams or hashes it. */
  readonly bytes: Bytes;
}
