/** What a refused request means to the user. Source: OCI distribution-spec "Error Codes", spec factory-and-signatures H9. */
import { ImagerError } from '../../errors.ts';
import type { HttpResponse } from '../../platform/types.ts';
import { headerOf, readBody } from './transport.ts';

const DOCUMENT_LIMIT = 65536;
const REQUEST_ID_HEADERS: readonly string[] = [
  'x-request-id',
  'x-github-request-id',
  'x-amzn-requestid',
  'x-amz-request-id',
];

/**
 * The `dependency` error for an answer that is no success. `where` is the endpoint, `what` the thing asked for
 * (`manifest a/b:v1`). Consumes the body.
 */
export async function refusal(response: HttpResponse, where: string, what: string): Promise<ImagerError> {
  const said = saidBy(await bodyText(response, where));
  const id = REQUEST_ID_HEADERS.map((name) => headerOf(response, name)).find((value) => value !== undefined);
  const limit = response.status === 429 ? headerOf(response, 'ratelimit-limit') : undefined;
  const details = [
    said,
    limit === undefined ? '' : `limit ${printable(limit, 40)}`,
    id === undefined ? '' : `request ${printable(id, 80)}`,
  ]
    .filter((one) => one !== '')
    .join(', ');
  const message = `${where}: ${what}: ${meaningOf(response.status, said)} (${response.status}${details && `: ${details}`})`;
  const hint = hintFor(response, where);
  const cause: RefusedAnswer = { status: response.status };
  return new ImagerError('dependency', message, { cause, ...(hint === undefined ? {} : { hint }) });
}

/** What a refusal's `cause` is. */
interface RefusedAnswer {
  readonly status: number;
}

/** The status of the answer that a `refusal` is about; `undefined` for all other errors. */
export function refusedStatus(error: unknown): number | undefined {
  const cause = error instanceof ImagerError ? (error.cause as Partial<RefusedAnswer> | undefined) : undefined;
  return typeof cause?.status === 'number' ? cause.status : undefined;
}

/** A server's words on one line of printable ASCII. */
export function printable(text: string, limit: number): string {
  const line = text.replace(/[^\x20-\x7e]+/g, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit)}...` : line;
}

function meaningOf(status: number, said: string): string {
  if (status === 429 || said.startsWith('TOOMANYREQUESTS')) return 'too many requests';
  if (status === 401) return 'not authorized';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not found';
  if (status >= 500) return 'the server failed';
  if (status >= 300 && status < 400) return 'redirected to nowhere';
  return status < 300 ? 'unexpected answer' : 'refused';
}

function hintFor(response: HttpResponse, where: string): string | undefined {
  const host = where.split('/')[0]!;
  switch (response.status) {
    case 401:
      return `log in with \`docker login ${host}\`, or give a credential helper in the docker configuration`;
    case 403:
      return `the account used for ${host} may not read this`;
    case 429: {
      const wait = headerOf(response, 'retry-after');
      return wait === undefined ? 'log in, or try again later' : `log in, or try again after ${printable(wait, 40)}`;
    }
    default:
      return undefined;
  }
}

async function bodyText(response: HttpResponse, where: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readBody(response, DOCUMENT_LIMIT, where));
  } catch (error) {
    if (error instanceof ImagerError && error.code === 'canceled') throw error;
    return '';
  }
}

/** Code and message of the error document; of any other body its beginning. */
function saidBy(body: string): string {
  const first = firstError(body);
  if (first === undefined) return printable(body.replace(/<[^>]{0,1000}>/g, ' ').slice(0, 1000), 200);
  return printable([first.code, first.message].filter((part) => typeof part === 'string').join(': '), 300);
}

function firstError(body: string): { readonly code?: unknown; readonly message?: unknown } | undefined {
  try {
    const { errors } = JSON.parse(body) as { readonly errors?: unknown };
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    return typeof first === 'object' && first !== null ? first : undefined;
  } catch {
    return undefined;
  }
}
