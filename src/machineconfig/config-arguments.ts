/** Where a node gets its configuration: `talos.config*` and `siderolink.api` (spec machine-config 6). */
import { isBase64 } from '../yaml/base64.ts';
import { isMistake, type Mistake } from './address.ts';
import { firstValue, type KernelArgument, valuesOf } from './command-line.ts';
import { formatQuery, formatUrl, parseQuery, parseUrl, splitHostPort } from './url.ts';

/** Names that `${name}` stands for in a query value of `talos.config`, in any letter case. */
export const CONFIG_URL_VARIABLES: readonly string[] = ['uuid', 'serial', 'mac', 'hostname', 'code'];

export interface FilledUrl {
  readonly url: string;
  /** Variables the machine does not have: the node waits for them, then asks for the URL with their names left in. */
  readonly missing: readonly string[];
}

/** The URL a machine with these values asks for. Without any variable in it, it stays as it is to the letter. */
export function fillConfigUrl(text: string, machine: Readonly<Record<string, string>>): FilledUrl | Mistake {
  const url = parseUrl(text);
  if (isMistake(url)) return url;
  const query = parseQuery(url.query);
  const active = CONFIG_URL_VARIABLES.filter((name) => usesVariable(query, name));
  if (active.length === 0) return { url: text, missing: [] };
  const missing = active.filter((name) => !Object.hasOwn(machine, name));
  for (const name of active) {
    if (!missing.includes(name)) replaceVariable(query, name, machine[name]!);
  }
  return { url: formatUrl({ ...url, query: formatQuery(query) }), missing };
}

function usesVariable(query: ReadonlyMap<string, readonly string[]>, name: string): boolean {
  return [...query].some(
    ([key, values]) => isBareUuid(key, values, name) || values.some((value) => value.search(pattern(name)) >= 0),
  );
}

function replaceVariable(query: Map<string, string[]>, name: string, replacement: string): void {
  for (const [key, values] of query) {
    const filled = isBareUuid(key, values, name)
      ? [replacement]
      : values.map((value) => value.replaceAll(pattern(name), () => replacement));
    query.set(key, filled);
  }
}

/** `?uuid=` from before there were variables; only this key, only with nothing of its own in it. */
function isBareUuid(key: string, values: readonly string[], name: string): boolean {
  return name === 'uuid' && key === 'uuid' && !(values.length === 1 && values[0]?.trim() !== '');
}

function pattern(name: string): RegExp {
  return PATTERNS.get(name) ?? /$^/;
}

const PATTERNS: ReadonlyMap<string, RegExp> = new Map(
  CONFIG_URL_VARIABLES.map((name) => [name, new RegExp(`\\$\\{${name}\\}`, 'gi')]),
);

export interface OauthSettings {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly extraVariables: readonly string[];
  readonly deviceAuthUrl: string;
  readonly tokenUrl: string;
}

/** `undefined` without `client_id`: then no OAuth, whatever else is given. */
export function parseOauthArguments(args: readonly KernelArgument[]): OauthSettings | Mistake | undefined {
  const get = (name: string): string | undefined => firstValue(args, `talos.config.oauth.${name}`);
  const clientId = get('client_id');
  if (clientId === undefined) return undefined;
  const config = firstValue(args, 'talos.config') ?? '';
  const deviceAuthUrl = get('device_auth_url') ?? besideConfig(config, '/device/code');
  const tokenUrl = get('token_url') ?? besideConfig(config, '/token');
  if (typeof deviceAuthUrl !== 'string') return deviceAuthUrl;
  if (typeof tokenUrl !== 'string') return tokenUrl;
  return {
    clientId,
    clientSecret: get('client_secret') ?? '',
    audience: get('audience') ?? '',
    scopes: valuesOf(args, 'talos.config.oauth.scope'),
    extraVariables: valuesOf(args, 'talos.config.oauth.extra_variable'),
    deviceAuthUrl,
    tokenUrl,
  };
}

/** The URL of the configuration with another path; query and fragment stay. */
function besideConfig(config: string, path: string): string | Mistake {
  const url = parseUrl(config);
  return isMistake(url) ? url : formatUrl({ ...url, path });
}

export interface SideroLinkEndpoint {
  /** With port, the default one for https included. */
  readonly host: string;
  /** No TLS: `grpc` only, which is also what no scheme means. */
  readonly insecure: boolean;
  readonly joinToken: string;
  /** WireGuard packets through gRPC. */
  readonly tunnel: boolean;
  readonly scheme: string;
}

/** `undefined` for an empty value, which counts as none. */
export function parseSideroLinkArgument(value: string): SideroLinkEndpoint | Mistake | undefined {
  if (value === '') return undefined;
  const url = parseUrl(/^[a-zA-Z]+:\/\//.test(value) ? value : `grpc://${value}`);
  if (isMistake(url)) return url;
  const query = parseQuery(url.query);
  const { name, port } = splitHostPort(url.host);
  const isTls = url.scheme === 'https';
  return {
    host: isTls && port === '' ? `${name.includes(':') ? `[${name}]` : name}:443` : url.host,
    insecure: url.scheme === 'grpc',
    joinToken: query.get('jointoken')?.[0] ?? '',
    tunnel: ['true', 'y'].includes(query.get('grpc_tunnel')?.[0] ?? ''),
    scheme: url.scheme,
  };
}

/** First bytes of a zstd frame. */
const ZSTD_MAGIC: readonly number[] = [0x28, 0xb5, 0x2f, 0xfd];

/** First bytes of zstd's skippable frames, the first of which has any low four bits. */
const SKIPPABLE_MAGIC: readonly number[] = [0x2a, 0x4d, 0x18];

/**
 * The compressed configuration of `talos.config.early` or `.inline`: all values joined, padded standard base64 of zstd.
 * Empty when all values are.
 */
export function joinInlineConfig(values: readonly string[]): { readonly compressed: Uint8Array } | Mistake {
  const text = values.join('').replaceAll(/[\r\n]/g, '');
  const strange = /[^A-Za-z0-9+/=]/.exec(text);
  if (strange !== null) return { mistake: `character "${strange[0]}" at ${strange.index}: no standard base64` };
  if (!isBase64(text)) {
    return { mistake: `${text.length} characters: no whole base64, want "=" padding at the end only` };
  }
  const compressed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const isFrame = ZSTD_MAGIC.every((byte, index) => compressed[index] === byte);
  const isSkippable = SKIPPABLE_MAGIC.every((byte, index) => compressed[index + 1] === byte);
  if (compressed.length > 0 && !isFrame && !isSkippable) return { mistake: 'no zstd data in the base64' };
  return { compressed };
}
