/** Where trusted roots are published: URLs of TUF repositories. */
import { invalid } from '../errors.ts';

/** The TUF repository of the public Sigstore instance. */
export const PUBLIC_GOOD_URL = 'https://tuf-repo-cdn.sigstore.dev';

/** `http(s)://HOST[:PORT][/PATH]`, written in one way. Throws `invalid-input`. */
export function parseTufUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === undefined || !isWeb || `${url.username}${url.password}${url.search}${url.hash}` !== '') {
    throw invalid('TUF repository: want a URL like https://tuf.example/path, without credentials and query');
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
