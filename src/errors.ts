/**
 * The one error class of the project. Everything a user can cause or meet is an `ImagerError`; anything else that
 * escapes is a bug and is reported as one.
 *
 * Exit codes are upstream's (spec profiles-and-inputs 1.5): 1 usage, 2 invalid input, 3 unsupported combination,
 * 5 dependency (registry, signature, external program), 6 local I/O, 7 image assembly. 130 is a build stopped by a signal.
 */
export type ErrorCode =
  | 'usage'
  | 'invalid-input'
  | 'unsupported'
  | 'dependency'
  | 'verification'
  | 'io'
  | 'install'
  | 'canceled';

const EXIT_CODES = {
  usage: 1,
  'invalid-input': 2,
  unsupported: 3,
  dependency: 5,
  verification: 5,
  io: 6,
  install: 7,
  canceled: 130,
} as const satisfies Record<ErrorCode, number>;

export interface ErrorDetails {
  /** What to do about it, apart from the message: one sentence or a command. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** `message` names the thing, the value and the wish: `meta key 0x1ff: want 0x01..0xff`. */
export class ImagerError extends Error {
  override readonly name = 'ImagerError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }
}

/** Shorthand for the commonest error: something from outside is not what it must be. */
export function invalid(message: string, details?: ErrorDetails): ImagerError {
  return new ImagerError('invalid-input', message, details);
}

/** Throws `canceled` once the signal is aborted: its own reason where that says who stopped it, else a message that begins with `where`. */
export function stopIfAborted(signal: AbortSignal | undefined, where: string): void {
  if (signal?.aborted !== true) return;
  const { reason } = signal;
  throw reason instanceof ImagerError ? reason : new ImagerError('canceled', `${where}: stopped`, { cause: reason });
}

/** The process exit code for any thrown value; values that are no `ImagerError` are bugs and give 1. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ImagerError ? EXIT_CODES[error.code] : 1;
}

/**
 * The same error with `context` before its message, so that a reader learns which input it was about.
 * Values that are no `ImagerError` come back unchanged: a bug keeps its own stack.
 */
export function withContext(context: string, error: unknown): unknown {
  if (!(error instanceof ImagerError)) return error;
  const details = error.hint === undefined ? { cause: error } : { cause: error, hint: error.hint };
  return new ImagerError(error.code, `${context}: ${error.message}`, details);
}
