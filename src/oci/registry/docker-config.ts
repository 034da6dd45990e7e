/**
 * The credentials part of a docker `config.json` or podman `auth.json`: one format, two programs.
 * Source: spec factory-and-signatures H2.
 */
import { type ImagerError, invalid } from '../../errors.ts';
import { DOCKER_HUB_HOSTS, isDockerHub } from '../../trust/registry-name.ts';
import { isBase64 } from '../../yaml/base64.ts';

/** What to show a registry. */
export type Credential =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  /** Exchanged for access tokens at the token server. */
  | { readonly kind: 'identity-token'; readonly user: string; readonly token: string }
  /** Shown to the registry as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

export interface DockerConfig {
  /** By key as written. An entry without content is `undefined` and counts as none. */
  readonly auths: ReadonlyMap<string, Credential | undefined>;
  /** Helper name by registry; an empty name means none. */
  readonly helpers: ReadonlyMap<string, string>;
  /** The helper for every other registry. */
  readonly store: string | undefined;
}

/** Whom a credential is for. */
export interface CredentialTarget {
  /** `host[:port]` that is contacted. */
  readonly host: string;
  readonly repository: string;
}

/** The name Docker Hub has in docker's configuration and in what helpers store. */
const HUB_KEY = 'https://index.docker.io/v1/';

/**
 * Parses a file that `label` names in errors. One malformed entry refuses the whole file, as upstream does: half a
 * configuration would turn into anonymous pulls. Throws `invalid-input`, with nothing of the content in the message.
 */
export function parseDockerConfig(text: string, label: string): DockerConfig {
  if (text.trim() === '') return { auths: new Map(), helpers: new Map(), store: undefined };
  const document = objectOf(parseJson(text, label), label);
  const auths = Object.entries(objectOf(document.auths ?? {}, `${label}: auths`));
  const helpers = Object.entries(objectOf(document.credHelpers ?? {}, `${label}: credHelpers`));
  const store = textOf(document.credsStore, `${label}: credsStore`);
  return {
    auths: new Map(auths.map(([key, entry]) => [key, credentialOf(entry, `${label}: auths.${key}`)])),
    helpers: new Map(helpers.map(([key, name]) => [key, textOf(name, `${label}: credHelpers.${key}`)])),
    store: store === '' ? undefined : store,
  };
}

/** The helper a target's credential must come from, and what to ask it for; `undefined` when `auths` decides. */
export function helperFor(
  config: DockerConfig,
  target: CredentialTarget,
): { readonly name: string; readonly server: string } | undefined {
  const isHub = isDockerHub(target.host);
  for (const candidate of candidatesOf(target)) {
    const name = config.helpers.get(candidate);
    // An empty name switches the general store off for this registry.
    if (name === '') return undefined;
    if (name !== undefined) return { name, server: isHub ? HUB_KEY : candidate };
  }
  return config.store === undefined ? undefined : { name: config.store, server: isHub ? HUB_KEY : target.host };
}

/** The credential written in the file itself for the longest path that leads to the target. */
export function writtenCredential(config: DockerConfig, target: CredentialTarget): Credential | undefined {
  const byName = new Map([...config.auths].map(([key, credential]) => [withoutDecoration(key), credential]));
  for (const candidate of candidatesOf(target)) {
    const credential = config.auths.get(candidate) ?? byName.get(candidate);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

/** Base64 of `user:password`, as in `auth` members. Throws `invalid-input`, naming `label` and no content. */
export function parseAuth(auth: string, label: string): Credential {
  const text = decodeBase64(auth);
  if (text === undefined) throw invalid(`${label}: want base64`);
  const colon = text.indexOf(':');
  if (colon < 1) throw invalid(`${label}: want the base64 form of user:password`);
  return {
    kind: 'basic',
    user: text.slice(0, colon),
    password: text.slice(colon + 1).replace(/^\0+|(?<!\0)\0+$/g, ''),
  };
}

/** Keys that fit the target, the most specific first: the repository, its parents, the host. */
function candidatesOf({ host, repository }: CredentialTarget): string[] {
  const hosts = isDockerHub(host) ? [HUB_KEY, ...DOCKER_HUB_HOSTS] : [host];
  const parts = repository.split('/');
  const paths = parts.map((_, index) => `/${parts.slice(0, parts.length - index).join('/')}`);
  return [...paths, ''].flatMap((path) => hosts.map((one) => `${one}${path}`));
}

/** Docker writes keys as URLs of the old index service too: `https://host/v1/`. */
function withoutDecoration(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/(?:\/v[12])?\/?$/, '');
}

function credentialOf(entry: unknown, label: string): Credential | undefined {
  const fields = objectOf(entry, label);
  const [auth, username, password, identityToken, registryToken] = (
    ['auth', 'username', 'password', 'identitytoken', 'registrytoken'] as const
  ).map((name) => textOf(fields[name], `${label}.${name}`)) as [string, string, string, string, string];
  const basic = auth === '' ? { user: username, password } : basicOf(parseAuth(auth, `${label}.auth`));
  if (registryToken !== '') return { kind: 'registry-token', token: registryToken };
  if (identityToken !== '') return { kind: 'identity-token', user: basic.user, token: identityToken };
  return basic.user === '' && basic.password === '' ? undefined : { kind: 'basic', ...basic };
}

function basicOf(credential: Credential): { readonly user: string; readonly password: string } {
  return credential.kind === 'basic'
    ? { user: credential.user, password: credential.password }
    : { user: '', password: '' };
}

/** The parser's own message quotes the text around the error: here that may be a password, so only the place is told. */
function parseJson(text: string, label: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = error instanceof Error ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    throw invalid(`${label}: want JSON${position === undefined ? '' : `, broken at character ${position}`}`);
  }
}

function objectOf(value: unknown, label: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notA('an object', label);
  return value as Readonly<Record<string, unknown>>;
}

/** Missing and `null` are the empty text, as for upstream. */
function textOf(value: unknown, label: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw notA('a text', label);
  return value;
}

function notA(wish: string, label: string): ImagerError {
  return invalid(`${label}: want ${wish}`);
}

/** Standard alphabet with padding, line breaks allowed; `undefined` for anything else. */
function decodeBase64(text: string): string | undefined {
  const joined = text.replace(/[\r\n]/g, '');
  if (!isBase64(joined)) return undefined;
  const bytes = Uint8Array.from(atob(joined), (one) => one.charCodeAt(0));
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
