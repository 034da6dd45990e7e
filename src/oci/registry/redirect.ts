/** Following redirects, as far as a registry may send us. Source: spec factory-and-signatures H5. */
import { ImagerError } from '../../errors.ts';
import { maySendTo } from './address.ts';
import { headerOf, type Send } from './transport.ts';

const LIMIT = 10;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface RedirectOptions {
  /** The user marked the registry insecure: it may send us to plain HTTP too. */
  readonly allowPlain: boolean;
}

/**
 * Follows redirects of GET and HEAD. Authorization is the business of what is below: each hop passes through it, and it
 * knows its own host. Throws `dependency` for a target we do not go to and for more than ten hops.
 */
export function withRedirects(send: Send, { allowPlain }: RedirectOptions): Send {
  return async (request) => {
    const start = new URL(request.url);
    let url = start;
    for (let hops = 0; ; hops++) {
      const response = await send({ ...request, url: url.href });
      const location = headerOf(response, 'location');
      const follows = REDIRECTS.includes(response.status) && (request.method === 'GET' || request.method === 'HEAD');
      if (!follows || location === undefined) return response;
      await response.discard();
      if (hops === LIMIT) throw new ImagerError('dependency', `${start.host}: more than ${LIMIT} redirects`);
      url = checkedTarget(start, url, location, allowPlain);
    }
  };
}

/**
 * Where a registry sends us, if it may: `start` is what the user named, `from` what answered. Query and path stay out of messages: signed URLs
 * are secrets. Throws `dependency`.
 */
export function checkedTarget(start: URL, from: URL, location: string, allowPlain: boolean): URL {
  if (!URL.canParse(location, from.href))
    throw new ImagerError('dependency', `${from.host}: redirects to no valid URL`);
  const to = new URL(location, from);
  if (to.protocol !== 'https:' && to.protocol !== 'http:') {
    throw new ImagerError('dependency', `${from.host}: redirects to ${to.protocol}//, want https://`);
  }
  if (to.protocol === 'http:' && from.protocol === 'https:' && !allowPlain) {
    throw new ImagerError('dependency', `${from.host}: redirects to plain HTTP on ${to.host}, want https://`, {
      hint: `mark ${start.host} with --insecure if that is meant`,
    });
  }
  if (!maySendTo(start, to)) {
    throw new ImagerError('dependency', `${from.host}: redirects into a private network: ${to.host}`);
  }
  return to;
}
