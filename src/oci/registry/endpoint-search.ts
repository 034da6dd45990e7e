/** Asking the endpoints of a repository in turn, each for its share of the time, until one has what is wanted. */
import { ImagerError, invalid, stopIfAborted } from '../../errors.ts';
import type { Endpoint } from './mirrors.ts';
import { isUnreached, type RetryOptions } from './retry.ts';
import { nameOf, type Session } from './session.ts';
import { timeLimit } from './time-limit.ts';

/** Something to be had from several endpoints. */
export interface Question {
  /** For messages: `manifest a/b:v1`. */
  readonly what: string;
  readonly order: readonly Endpoint[];
  readonly signal: AbortSignal | undefined;
}

/** What a request to one endpoint keeps to. */
export interface Attempt {
  readonly session: Session;
  readonly retry: RetryOptions;
  readonly signal: AbortSignal;
}

/** Why an endpoint was of no use. */
export interface Failure {
  readonly endpoint: Endpoint;
  readonly error: ImagerError;
}

export interface SearchOptions {
  /** What messages call the repository. */
  readonly label: string;
  /** Milliseconds for one question, all endpoints, tries and pauses together. */
  readonly budget: number;
  readonly retry: RetryOptions;
  readonly connect: (endpoint: Endpoint, signal: AbortSignal) => Promise<Session>;
  readonly onServed: (what: string, endpoint: Endpoint) => void;
  readonly onFailed: (what: string, endpoint: Endpoint, error: ImagerError) => void;
}

export interface EndpointSearch {
  /** What must be there: the first answer in order. Throws `dependency` with every endpoint's reason. */
  ask<T>(question: Question, request: (attempt: Attempt) => Promise<T>): Promise<T>;
  /**
   * What need not be there: `undefined` from an endpoint means that it has no such thing. That the registry itself has none decides or, where it is out
   * of reach, that none of the mirrors that answer has.
   */
  askIfAny<T>(question: Question, request: (attempt: Attempt) => Promise<T | undefined>): Promise<T | undefined>;
}

interface Outcome<T> {
  readonly found: T | undefined;
  readonly failures: readonly Failure[];
  readonly without: readonly Endpoint[];
}

export function endpointSearch(options: SearchOptions): EndpointSearch {
  const { label } = options;
  return {
    async ask(question, request) {
      const { found, failures } = await search(options, question, request);
      if (found === undefined) throw notServed(label, question.what, failures);
      return found;
    },
    async askIfAny(question, request) {
      const { found, failures, without } = await search(options, question, request);
      const isDecided = without.some(({ mirrorOf }) => mirrorOf === undefined);
      const isAllThereIs = without.length > 0 && failures.every(({ error }) => isUnreached(error));
      if (found !== undefined || isDecided || isAllThereIs) return found;
      throw notServed(label, question.what, failures);
    },
  };
}

async function search<T>(
  options: SearchOptions,
  { what, order, signal }: Question,
  request: (attempt: Attempt) => Promise<T | undefined>,
): Promise<Outcome<T>> {
  const { clock } = options.retry;
  const deadline = clock.now() + options.budget;
  const failures: Failure[] = [];
  const without: Endpoint[] = [];
  for (const [index, endpoint] of order.entries()) {
    stopIfAborted(signal, options.label);
    // One that does not answer leaves the others their share.
    const share = (deadline - clock.now()) / (order.length - index);
    const limit = timeLimit(share, signal);
    try {
      const session = await options.connect(endpoint, limit.signal);
      const retry = { ...options.retry, deadline: clock.now() + share };
      const found = await request({ session, retry, signal: limit.signal });
      if (found === undefined) {
        without.push(endpoint);
        continue;
      }
      options.onServed(what, endpoint);
      return { found, failures, without };
    } catch (cause) {
      stopIfAborted(signal, options.label);
      const error = limit.isOver ? tooLate(endpoint, what, share, cause) : cause;
      if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
      failures.push({ endpoint, error });
      options.onFailed(what, endpoint, error);
    } finally {
      limit.lift();
    }
  }
  return { found: undefined, failures, without };
}

function tooLate(endpoint: Endpoint, what: string, milliseconds: number, cause: unknown): ImagerError {
  const seconds = Math.ceil(milliseconds / 1000);
  return new ImagerError('dependency', `${nameOf(endpoint)}: ${what}: no answer in ${seconds} s`, { cause });
}

/** Every endpoint with its own reason, or the one reason there is. */
export function notServed(label: string, what: string, failures: readonly Failure[]): ImagerError {
  const [first, ...others] = failures;
  if (first === undefined) {
    return invalid(`${label}: ${what}: its mirror entry has no endpoint for it and forbids the registry itself`);
  }
  if (others.length === 0) return first.error;
  const reasons = failures.map(({ endpoint, error: { message } }) => {
    const name = nameOf(endpoint);
    return `\n  ${message.startsWith(name) ? message : `${name}: ${message}`}`;
  });
  const hint = failures.map(({ error }) => error.hint).find((one) => one !== undefined);
  const details = { cause: failures.at(-1)!.error, ...(hint === undefined ? {} : { hint }) };
  return new ImagerError(
    'dependency',
    `${label}: ${what}: not served by any of ${failures.length} endpoints:${reasons.join('')}`,
    details,
  );
}
