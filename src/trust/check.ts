/** The checks a signature has to pass, each with a name that reports, tests and policies share. */

/** `ok`, or the name of the check that failed. */
export type Reason = 'ok' | CheckName;

export type CheckName =
  /** Something that is no signature of its format. */
  | 'malformed'
  | 'too-large'
  /** Made with a key where an identity is wanted, or the reverse. */
  | 'mode'
  /** Signs something else than an image: a file, another payload type. */
  | 'content'
  /** A statement about the image that is not its signature. */
  | 'predicate'
  /** Signs another digest. */
  | 'digest'
  | 'reference'
  | 'annotations'
  /** RFC 3161. */
  | 'timestamp'
  | 'no-timestamp'
  | 'no-log-entry'
  | 'log-key'
  | 'log-promise'
  | 'log-proof'
  | 'log-entry-mismatch'
  | 'no-trusted-time'
  | 'certificate-time'
  | 'certificate-usage'
  | 'certificate-chain'
  /** Certificate transparency. */
  | 'sct'
  | 'signature'
  | 'identity'
  /** There is nothing to check. */
  | 'no-signature'
  /** What was asked for cannot be asked. */
  | 'policy';

/** One check of one signature. */
export interface Check {
  readonly name: CheckName;
  readonly passed: boolean;
  /** What was found and, of a failed check, what was wanted. */
  readonly detail: string;
}

/** A failed check, on its way to the report of its signature; it never leaves this folder. */
export class Refusal extends Error {
  readonly check: CheckName;

  constructor(check: CheckName, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.check = check;
  }
}
