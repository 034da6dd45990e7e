/**
 * URLs with the grammar of Go's `net/url` (1.26), which decides what a node takes from its command line: stricter about
 * hosts, ports and escapes than a browser, and taking any scheme. Text is held as one character per UTF-8 byte.
 */
import type { Mistake } from './address.ts';
import { isMistake, parseAddress } from './address.ts';

export interface ParsedUrl {
  /** Lower case, `''` when there is none. */
  readonly scheme: string;
  /** What follows `scheme:` when that is no `/`. */
  readonly opaque: string;
  /** `undefined` without `@`; still escaped as written. */
  readonly user?: { readonly name: string; readonly password?: string };
  /** Name or address with port, unescaped. */
  readonly host: string;
  /** Unescaped. */
  readonly path: string;
  /** As written, where that differs from the usual escaping of `path`. */
  readonly rawPath: string;
  /** As written, without `?`. */
  readonly query: string;
  /** A `?` with nothing after it. */
  readonly forceQuery: boolean;
  readonly fragment: string;
  readonly rawFragment: string;
  /** `scheme:/path`, without `//`. */
  readonly omitHost: boolean;
}

export function parseUrl(text: string): ParsedUrl | Mistake {
  const [main = '', ...fragments] = toBytes(text).split('#');
  const fragment = fragments.join('#');
  const url = parseMain(main);
  if (isMistake(url) || fragment === '') return url;
  const plain = unescaped(fragment, 'fragment');
  if (plain === undefined) return badEscape(fragment);
  return { ...url, fragment: plain, rawFragment: escaped(plain, 'fragment') === fragment ? '' : fragment };
}

/** The text again; escapes are made canonical only where they must be. */
export function formatUrl(url: ParsedUrl): string {
  let text = url.scheme === '' ? '' : `${url.scheme}:`;
  if (url.opaque !== '') text += url.opaque;
  else {
    const { user, host } = url;
    const hasAuthority = host !== '' || user !== undefined;
    if ((url.scheme !== '' || hasAuthority) && !(url.omitHost && !hasAuthority)) {
      if (hasAuthority || url.path !== '') text += '//';
      if (user !== undefined) text += `${formatUser(user)}@`;
      text += escaped(host, 'host');
    }
    const path = escapedPath(url);
    if (path !== '' && !path.startsWith('/') && host !== '') text += '/';
    // A colon in the first segment would be read as the end of a scheme.
    if (text === '' && path.split('/', 1)[0]!.includes(':')) text += './';
    text += path;
  }
  if (url.forceQuery || url.query !== '') text += `?${url.query}`;
  if (url.fragment !== '') text += `#${escapedFragment(url)}`;
  return fromBytes(text);
}

/** Host without port and brackets, and port; both `''` when absent. */
export function splitHostPort(host: string): { readonly name: string; readonly port: string } {
  const colon = host.lastIndexOf(':');
  const hasPort = colon >= 0 && /^:[0-9]*$/.test(host.slice(colon));
  const name = hasPort ? host.slice(0, colon) : host;
  const isBracketed = name.startsWith('[') && name.endsWith(']');
  return { name: isBracketed ? name.slice(1, -1) : name, port: hasPort ? host.slice(colon + 1) : '' };
}

/** Keys to their values, in order of first appearance; pairs with `;` or broken escapes are dropped, as Go does. */
export function parseQuery(query: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const key = unescaped(equals < 0 ? pair : pair.slice(0, equals), 'query');
    const value = unescaped(equals < 0 ? '' : pair.slice(equals + 1), 'query');
    if (key === undefined || value === undefined) continue;
    const name = fromBytes(key);
    const known = values.get(name);
    if (known === undefined) values.set(name, [fromBytes(value)]);
    else known.push(fromBytes(value));
  }
  return values;
}

/** Keys in byte order, blanks as `+`. */
export function formatQuery(values: ReadonlyMap<string, readonly string[]>): string {
  const pairs = [...values].map(([key, all]) => [toBytes(key), all.map(toBytes)] as const);
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return pairs
    .flatMap(([key, all]) => all.map((value) => `${escaped(key, 'query')}=${escaped(value, 'query')}`))
    .join('&');
}

type Part = 'path' | 'user' | 'host' | 'zone' | 'query' | 'fragment';

function parseMain(text: string): ParsedUrl | Mistake {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f]/.test(text)) return { mistake: 'a control character' };
  const empty: ParsedUrl = {
    scheme: '',
    opaque: '',
    host: '',
    path: '',
    rawPath: '',
    query: '',
    forceQuery: false,
    fragment: '',
    rawFragment: '',
    omitHost: false,
  };
  if (text === '*') return { ...empty, path: '*' };
  if (text.startsWith(':')) return { mistake: 'no scheme before ":"' };
  const [, scheme = '', afterScheme = text] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(text) ?? [];
  const question = afterScheme.indexOf('?');
  const rest = question < 0 ? afterScheme : afterScheme.slice(0, question);
  const query = question < 0 ? '' : afterScheme.slice(question + 1);
  const url = { ...empty, scheme: scheme.toLowerCase(), query, forceQuery: question >= 0 && query === '' };
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { ...url, opaque: rest };
    if (rest.split('/', 1)[0]!.includes(':')) return { mistake: 'a colon before the first "/", but no scheme' };
  }
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) return withAuthority(url, rest.slice(2));
  return withPath({ ...url, omitHost: scheme !== '' && rest.startsWith('/') }, rest);
}

function withAuthority(url: ParsedUrl, text: string): ParsedUrl | Mistake {
  const slash = text.indexOf('/');
  const authority = slash < 0 ? text : text.slice(0, slash);
  const at = authority.lastIndexOf('@');
  const host = parseHost(authority.slice(at + 1), url.scheme);
  if (typeof host !== 'string') return host;
  const path = slash < 0 ? '' : text.slice(slash);
  if (at < 0) return withPath({ ...url, host }, path);
  const userInfo = authority.slice(0, at);
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(userInfo)) return { mistake: 'a character in user and password' };
  const colon = userInfo.indexOf(':');
  const name = unescaped(colon < 0 ? userInfo : userInfo.slice(0, colon), 'user');
  const password = colon < 0 ? undefined : unescaped(userInfo.slice(colon + 1), 'user');
  if (name === undefined || (colon >= 0 && password === undefined)) return badEscape(userInfo);
  return withPath({ ...url, host, user: password === undefined ? { name } : { name, password } }, path);
}

function withPath(url: ParsedUrl, text: string): ParsedUrl | Mistake {
  const path = unescaped(text, 'path');
  if (path === undefined) return badEscape(text);
  return { ...url, path, rawPath: escaped(path, 'path') === text ? '' : text };
}

function parseHost(host: string, scheme: string): string | Mistake {
  if (host.startsWith('[')) return parseBracketedHost(host);
  if (host.includes('[')) return { mistake: '"[" inside the host' };
  // Only the web's own schemes are held to one colon.
  const colon = scheme === 'http' || scheme === 'https' ? host.indexOf(':') : host.lastIndexOf(':');
  if (colon >= 0 && !/^:[0-9]*$/.test(host.slice(colon))) return { mistake: `port "${host.slice(colon + 1)}"` };
  return checkHost(host, 'host');
}

function parseBracketedHost(host: string): string | Mistake {
  const end = host.lastIndexOf(']');
  if (end < 0) return { mistake: 'no "]" after "["' };
  const port = host.slice(end + 1);
  if (!/^(?::[0-9]*)?$/.test(port)) return { mistake: `port "${port}" after "]"` };
  const zone = host.indexOf('%25');
  const isZoned = zone >= 0 && zone < end;
  const address = checkHost(host.slice(1, isZoned ? zone : end), 'host');
  const zoneText = isZoned ? checkHost(host.slice(zone, end), 'zone') : '';
  const portText = checkHost(port, 'host');
  if (typeof address !== 'string') return address;
  if (typeof zoneText !== 'string') return zoneText;
  if (typeof portText !== 'string') return portText;
  const parsed = parseAddress(`${address}${zoneText}`);
  const isIpv6 = !isMistake(parsed) && parsed.bytes.length === 16;
  if (!isIpv6) return { mistake: `"${address}" in brackets is no IPv6 address` };
  return `[${address}${zoneText}]${portText}`;
}

function checkHost(text: string, part: 'host' | 'zone'): string | Mistake {
  const strange = /[^A-Za-z0-9\-_.~!$&'()*+,;=:[\]<>"%\u0080-\u00ff]/.exec(text)?.[0];
  // Escapes come first in the text or they do not; either way the URL is refused, only the words differ.
  if (strange !== undefined) return { mistake: `character "${strange}" in the host` };
  return unescaped(text, part) ?? badEscape(text);
}

function badEscape(text: string): Mistake {
  const bad = /%(?![0-9a-fA-F]{2})[^%]{0,2}/.exec(text)?.[0] ?? /%[0-9a-fA-F]{2}/.exec(text)?.[0] ?? '%';
  return { mistake: `escape "${fromBytes(bad)}"` };
}

/** `undefined` for an escape that is broken or not allowed in this part. */
function unescaped(text: string, part: Part): string | undefined {
  let isBad = false;
  const plain = text.replaceAll(/%(.{0,2})|\+/gs, (found, digits: string | undefined) => {
    if (digits === undefined) return part === 'query' ? ' ' : found;
    if (!/^[0-9a-fA-F]{2}$/.test(digits)) {
      isBad = true;
      return found;
    }
    const code = Number.parseInt(digits, 16);
    const character = String.fromCharCode(code);
    // In hosts only what is not ASCII may be escaped, and the "%" before a zone.
    if (part === 'host' && code < 0x80 && digits !== '25') isBad = true;
    if (part === 'zone' && digits !== '25' && character !== ' ' && mustEscape(character, 'host')) isBad = true;
    return character;
  });
  return isBad ? undefined : plain;
}

function escaped(text: string, part: Part): string {
  let result = '';
  for (const character of text) {
    if (!mustEscape(character, part)) result += character;
    else if (character === ' ' && part === 'query') result += '+';
    else result += `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return result;
}

/** Beside letters, digits and `-_.~`. */
const UNESCAPED: Readonly<Record<Part, string>> = {
  path: '$&+,/:;=@',
  user: '$&+,;=',
  host: '!$&\'()*+,;=:[]<>"',
  zone: '!$&\'()*+,;=:[]<>"',
  query: '',
  fragment: '$&+,/:;=?@!()*',
};

function mustEscape(character: string, part: Part): boolean {
  return !/[A-Za-z0-9\-_.~]/.test(character) && !UNESCAPED[part].includes(character);
}

function formatUser(user: { readonly name: string; readonly password?: string }): string {
  const name = escaped(user.name, 'user');
  return user.password === undefined ? name : `${name}:${escaped(user.password, 'user')}`;
}

function escapedPath({ path, rawPath }: ParsedUrl): string {
  if (rawPath !== '' && isValidEncoding(rawPath, 'path') && unescaped(rawPath, 'path') === path) return rawPath;
  return path === '*' ? '*' : escaped(path, 'path');
}

function escapedFragment({ fragment, rawFragment }: ParsedUrl): string {
  const isKept = rawFragment !== '' && isValidEncoding(rawFragment, 'fragment');
  return isKept && unescaped(rawFragment, 'fragment') === fragment ? rawFragment : escaped(fragment, 'fragment');
}

/** Whether what was written may be written again: sub-delimiters may stand escaped or not. */
function isValidEncoding(text: string, part: Part): boolean {
  return [...text].every((character) => "!$&'()*+,;=:@[]%".includes(character) || !mustEscape(character, part));
}

function toBytes(text: string): string {
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

function fromBytes(bytes: string): string {
  return new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
}
