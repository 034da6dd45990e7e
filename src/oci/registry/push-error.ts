/** What a refused push means to the user. Sources: OCI distribution-spec "Error Codes", spec factory-and-signatures H9. */
import { ImagerError } from '../../errors.ts';
import type { HttpResponse } from '../../platform/types.ts';
import { refusal, refusedStatus } from './registry-error.ts';

/** Looked for in this order, in the status and in what the registry said. */
const MEANINGS: readonly {
  readonly status?: readonly number[];
  readonly said?: RegExp;
  readonly hint: (host: string) => string;
}[] = [
  {
    status: [400, 403, 412, 413, 507],
    said: /quota|storage limit|exceed|insufficient storage/i,
    hint: (host) => `the quota at ${host} is used up: remove old images there, or ask for more`,
  },
  { status: [507], hint: (host) => `${host} has no space left` },
  {
    said: /immutable|already exists|tag.*(locked|overwrit)/i,
    hint: () => 'the tag is there and may not be changed: push under another one',
  },
  {
    said: /DIGEST_INVALID|digest.*(match|invalid)/i,
    hint: () =>
      'what arrived is not what was sent: does something on the way change uploads, or did an input change meanwhile?',
  },
  {
    status: [401],
    hint: (host) =>
      `pushing needs an account: \`docker login ${host}\`, or a credential helper in the docker configuration`,
  },
  {
    status: [403],
    hint: (host) =>
      `the account used for ${host} may not push to this repository; if there is none: \`docker login ${host}\``,
  },
  { status: [404], hint: () => 'does the repository exist? Some registries want it to be made before the first push' },
  { status: [405, 501], hint: (host) => `${host} takes no pushes: is it a mirror?` },
  { status: [413], hint: () => 'a proxy before the registry limits how much one request may bring' },
];

/** The `dependency` error for an answer to a push that is no success, with advice. As `refusal`. */
export async function pushRefusal(response: HttpResponse, where: string, what: string): Promise<ImagerError> {
  return advised(await refusal(response, where, what), response.status, where);
}

/** Advice for what was refused on the way, by the server that gives tokens. Other errors come back unchanged. */
export function withPushAdvice(error: unknown, where: string): unknown {
  const status = refusedStatus(error);
  return status === undefined ? error : advised(error as ImagerError, status, where);
}

function advised(refused: ImagerError, status: number, where: string): ImagerError {
  const meaning = MEANINGS.find(
    (one) => (one.status?.includes(status) ?? true) && (one.said?.test(refused.message) ?? true),
  );
  const hint = meaning?.hint(where.split('/')[0]!) ?? refused.hint;
  return new ImagerError('dependency', refused.message, {
    cause: refused.cause,
    ...(hint === undefined ? {} : { hint }),
  });
}
