/** The URL a PXE directory is reached at, when that is not where the script came from. */
import { invalid } from '../errors.ts';

/** What iPXE loads files by. */
const SCHEMES = ['http:', 'https:', 'ftp:', 'tftp:'];

/** The URL as a script can have it: one word, with a slash at the end. Throws `invalid-input`. */
export function parseBaseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !SCHEMES.includes(url.protocol) || url.host === '' || /[\s${}\\]/.test(text)) {
    throw invalid(`base URL ${JSON.stringify(text)}: want one like http://boot.example/talos/`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw invalid(`base URL ${JSON.stringify(text)}: want a directory, without ? and #`);
  }
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}
