/**
 * Image references: `[host[:port]/]path[:tag][@sha256:hex]`.
 *
 * What a name means (Docker Hub when no host is written, `latest` when nothing is) is upstream's; which characters a
 * name may have is the distribution grammar (github.com/distribution/reference), which is narrower: upstream lets
 * `..`, empty path parts and upper-case hosts through, and a name that is spelt in two ways slips past a policy that
 * knows one of them.
 */

import { type Digest, parseDigest } from '../bytes/units.ts';
import { type ImagerError, invalid } from '../errors.ts';

export interface Reference {
  /** `host[:port]`; Docker Hub is always `index.docker.io`. */
  readonly registry: string;
  /** With the `library/` of Docker Hub written out. */
  readonly repository: string;
  /** `latest` when neither a tag nor a digest was written. */
  readonly tag: string | undefined;
  /** Decides when there is a tag too. */
  readonly digest: Digest | undefined;
}

/** The registry of names without one. */
export const DOCKER_HUB = 'index.docker.io';

/** Longest text looked at: a host of 253, a port, a path of 255, a tag of 128 and a digest fit. */
const LONGEST = 1024;
const LONGEST_PATH = 255;
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const IPV6 = /^\[[0-9a-f:.]+\]$/;
const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads a reference as people write it: registry, `library/` and tag may be missing.
 * Throws `invalid-input`. Source: spec factory-and-signatures H1, profiles-and-inputs 6.2.
 */
export function parseReference(text: string): Reference {
  return parse(text).reference;
}

/**
 * Reads a reference with nothing left out: registry and tag (or digest) written, no implied `library/`.
 * Throws `invalid-input`. Source: spec profiles-and-inputs 10.1.
 */
export function parseStrictReference(text: string): Reference {
  const { reference, implied } = parse(text);
  if (implied !== undefined) throw refusal(text, `want its ${implied} written out`);
  return reference;
}

/** What a registry is asked for: the digest, else the tag. */
export function identifierOf(reference: Reference): string {
  return reference.digest ?? reference.tag!;
}

/** Whether `text` may stand behind the `:` of a reference, and so in a URL. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** The full name, which parses to the same reference: `index.docker.io/library/app:latest`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/**
 * Checks `host[:port]` and returns it: a domain name in lower case, an IPv4 address or a bracketed IPv6 address, in the
 * one form URLs give them, so that equal hosts are equal texts. Throws `invalid-input`; `what` begins the message.
 */
export function parseRegistryHost(text: string, what: string): string {
  const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  if (host === undefined) throw invalid(`${what} ${quote(text)}: want host or host:port`);
  if (port !== undefined && !isPort(port)) throw invalid(`${what} ${quote(text)}: port ${quote(port)}: want 1..65535`);
  const upper = /[A-Z]/.exec(host);
  if (upper !== null) throw invalid(`${what} ${quote(text)}: "${upper[0]}" in its host: want lower case`);
  if (!DOMAIN.test(host) && !IPV6.test(host)) throw invalid(`${what} ${quote(text)}: want a host name or address`);
  const url = `https://${host}/`;
  if (!URL.canParse(url)) throw invalid(`${what} ${quote(text)}: want a host name or address`);
  const canonical = new URL(url).hostname;
  if (canonical !== host) throw invalid(`${what} ${quote(text)}: want it written ${canonical}`);
  return text;
}

interface Parsed {
  readonly reference: Reference;
  /** What was left out, for the strict form. */
  readonly implied: string | undefined;
}

function parse(text: string): Parsed {
  if (text.length > LONGEST) throw refusal(text, `${text.length} characters, want at most ${LONGEST}`);
  if (text === '') throw refusal(text, 'want [host[:port]/]path[:tag][@digest]');
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.exec(text);
  if (scheme !== null) throw refusal(text, `want it without ${quote(scheme[0])}`);

  const at = text.indexOf('@');
  const named = at < 0 ? text : text.slice(0, at);
  const digest = at < 0 ? undefined : digestOf(text, text.slice(at + 1));
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? undefined : checkTag(text, named.slice(colon + 1));

  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasRegistry = first === 'localhost' || /[.:[]/.test(first);
  const registry = hasRegistry
    ? hubOr(parseRegistryHost(first, `image reference ${quote(text)}: registry`))
    : DOCKER_HUB;
  const path = checkPath(text, hasRegistry ? name.slice(slash + 1) : name);
  const inLibrary = registry === DOCKER_HUB && !path.includes('/');
  return {
    reference: {
      registry,
      repository: inLibrary ? `library/${path}` : path,
      tag: tag ?? (digest === undefined ? 'latest' : undefined),
      digest,
    },
    implied: impliedOf(hasRegistry, inLibrary, tag !== undefined || digest !== undefined),
  };
}

function impliedOf(hasRegistry: boolean, inLibrary: boolean, hasIdentifier: boolean): string | undefined {
  if (!hasRegistry) return 'registry';
  if (inLibrary) return 'library/';
  return hasIdentifier ? undefined : 'tag or digest';
}

function hubOr(host: string): string {
  return host === 'docker.io' ? DOCKER_HUB : host;
}

function digestOf(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch {
    throw refusal(text, `digest ${quote(digest)}: want sha256: and 64 lower-case hexadecimal digits`);
  }
}

function checkTag(text: string, tag: string): string {
  const odd = /[^A-Za-z0-9_.-]/u.exec(tag);
  if (odd !== null) throw refusal(text, `${quote(odd[0])} in its tag: want letters, digits, . _ -`);
  if (!TAG.test(tag)) {
    throw refusal(text, `tag ${quote(tag)}: want 1..128 characters, a letter, digit or _ first`);
  }
  return tag;
}

function checkPath(text: string, path: string): string {
  const odd = /[^a-z0-9._/-]/u.exec(path);
  if (odd !== null) throw refusal(text, `${quote(odd[0])} in its path: want a-z, 0-9, . _ - /`);
  if (path.length < 2 || path.length > LONGEST_PATH) {
    throw refusal(text, `path of ${path.length} characters: want 2..${LONGEST_PATH}`);
  }
  const wrong = path.split('/').find((component) => !COMPONENT.test(component));
  if (wrong !== undefined) {
    throw refusal(text, `path part ${quote(wrong)}: want letters and digits, joined by . _ __ or dashes`);
  }
  return path;
}

function isPort(text: string): boolean {
  return /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;
}

function refusal(text: string, wish: string): ImagerError {
  return invalid(`image reference ${quote(text)}: ${wish}`);
}

/** Quoted and cut, with everything outside printable ASCII escaped: look-alike letters must not look alike in an error. */
function quote(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return JSON.stringify(shown).replace(/[^\x20-\x7e]/gu, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`);
}
