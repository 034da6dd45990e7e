/**
 * Where the images of a registry are fetched from: mirrors in order, then the registry itself.
 * Same meaning as in a Talos node's configuration (`machine.registries.mirrors`). Source: spec factory-and-signatures H6.
 */
import { ImagerError, invalid } from '../../errors.ts';
import type { ClientCertificate } from '../../platform/types.ts';
import { isDockerHub } from '../../trust/registry-name.ts';
import { DOCKER_HUB, parseRegistryHost, type Reference } from '../reference.ts';
import { nearRangeOf } from './address.ts';

export type Scheme = 'https' | 'http';

/** What an endpoint is asked for: content by digest, what a tag stands for; pushes go past mirrors. */
export type Capability = 'pull' | 'resolve' | 'push' | 'referrers';

/** How an endpoint is spoken to. */
export interface EndpointSettings {
  /** Its TLS certificate is not checked. */
  readonly skipVerify?: boolean;
  /** PEM, of authorities that are trusted besides the usual ones. */
  readonly ca?: string;
  /** Shown to the endpoint itself and to nobody it sends us to. */
  readonly clientCertificate?: ClientCertificate;
  /** Further header fields, lower-case names, for the endpoint itself. */
  readonly headers?: Readonly<Record<string, string>>;
  /** All unless told. */
  readonly capabilities?: readonly Capability[];
}

export interface MirrorEndpoint extends EndpointSettings {
  /** A base URL, where `http://` means plain HTTP; or `host[:port]`, treated like the host of a reference. */
  readonly url: string;
  /** The URL's path is used as it is, in place of `/v2` after it (Harbor's project proxies). */
  readonly overridePath?: boolean;
}

/** Where images of one registry are asked for, in order, before the registry itself. */
export interface RegistryMirror {
  readonly endpoints: readonly MirrorEndpoint[];
  /** Directories of OCI layouts whose names are whole references; they come before all endpoints. */
  readonly layouts?: readonly string[];
  /** The registry itself is never asked. */
  readonly skipFallback?: boolean;
  /** For the registry itself. */
  readonly self?: EndpointSettings;
}

/** By registry host as in references (`ghcr.io`, `docker.io`), or `*` for every host without an entry of its own. */
export type Mirrors = Readonly<Record<string, RegistryMirror>>;

/** One place that speaks the distribution protocol. */
export interface Endpoint {
  /** Tried in order until one connects. */
  readonly schemes: readonly Scheme[];
  /** `host[:port]` */
  readonly host: string;
  /** What comes before `/<repository>/manifests/...`, usually `/v2`. */
  readonly path: string;
  /** The registry this is a mirror of, in the spelling mirrors know (`ns` query); `undefined` for the registry itself. */
  readonly mirrorOf: string | undefined;
  readonly settings?: EndpointSettings;
}

/**
 * `--mirror host=endpoint` and `--mirror host=oci:DIR` options: one host may have several, tried in the given order (layouts first), then the registry
 * itself. Throws `invalid-input`.
 */
export function parseMirrors(options: readonly string[]): Mirrors {
  const mirrors = new Map<string, { readonly endpoints: MirrorEndpoint[]; layouts?: string[] }>();
  for (const option of options) {
    const equals = option.indexOf('=');
    const [host, url] = [option.slice(0, equals), option.slice(equals + 1)];
    if (equals < 1 || url === '') throw invalid(`mirror "${withoutSecret(option)}": want host=endpoint`);
    const key = host === '*' ? host : mirrorKey(parseRegistryHost(host, 'mirror for'));
    const mirror = mirrors.get(key) ?? { endpoints: [] };
    mirrors.set(key, mirror);
    if (url.startsWith(LAYOUT)) {
      const directory = url.slice(LAYOUT.length);
      if (directory === '') throw invalid(`mirror "${option}": want a path after oci:`);
      mirror.layouts = [...(mirror.layouts ?? []), directory];
      continue;
    }
    mirrorBase(url, false);
    mirror.endpoints.push({ url });
  }
  return Object.fromEntries(mirrors);
}

const LAYOUT = 'oci:';

/** Directories of the layouts that are asked for images of `registry` before anything else. */
export function layoutsOf(registry: string, mirrors: Mirrors = {}): readonly string[] {
  return mirrorFor(mirrorKey(registry), mirrors)?.layouts ?? [];
}

/**
 * The endpoints to ask for images of `registry`, in order; none when there is no mirror and no fallback.
 * Throws `invalid-input` for an endpoint that is no URL.
 */
export function endpointsOf(registry: string, mirrors: Mirrors = {}, insecure = false): Endpoint[] {
  const key = mirrorKey(registry);
  const mirror = mirrorFor(key, mirrors);
  const endpoints = (mirror?.endpoints ?? []).map(({ url, overridePath, ...settings }): Endpoint => {
    const base = mirrorBase(url, overridePath === true);
    const isItself = mirrorKey(base.host) === key && base.path === '/v2';
    return {
      ...base,
      schemes: base.schemes ?? schemesOf(base.host, insecure),
      mirrorOf: isItself ? undefined : key,
      ...settingsMember(settings),
    };
  });
  if (mirror?.skipFallback === true) return endpoints;
  const itself = { schemes: schemesOf(registry, insecure), host: registry, path: '/v2', mirrorOf: undefined };
  return [...endpoints, { ...itself, ...settingsMember(mirror?.self ?? {}) }];
}

/** The registry itself, as it is spoken to: mirrors have no part in pushes, but certificates and headers do. */
export function registryItself(registry: string, mirrors: Mirrors = {}, insecure = false): Endpoint {
  const itself = endpointsOf(registry, mirrors, insecure).find(({ mirrorOf }) => mirrorOf === undefined);
  return itself ?? endpointsOf(registry, {}, insecure)[0]!;
}

function settingsMember(settings: EndpointSettings): { readonly settings?: EndpointSettings } {
  return Object.keys(settings).length === 0 ? {} : { settings };
}

/** Whether an endpoint may be asked for something of the kind. */
export function isCapable({ settings }: Endpoint, capability: Capability): boolean {
  return settings?.capabilities?.includes(capability) ?? true;
}

/**
 * The hosts (`host[:port]`) that may be contacted for an image. Token servers and blob storage are not among them:
 * a registry names those in its answers.
 */
export function hostsOf(reference: Pick<Reference, 'registry'>, mirrors: Mirrors = {}): string[] {
  return [...new Set(endpointsOf(reference.registry, mirrors).map(({ host }) => host))];
}

/**
 * How a host given by name alone is spoken to. Plain HTTP only on this machine or where the user allowed it: upstream
 * also falls back for private addresses and `*.localhost`, where anybody on the network can answer.
 */
export function schemesOf(host: string, insecure: boolean): readonly Scheme[] {
  return insecure || isThisMachine(host) ? ['https', 'http'] : ['https'];
}

function isThisMachine(host: string): boolean {
  const { hostname } = new URL(`https://${host}/`);
  return nearRangeOf(hostname) === 'loopback' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

interface MirrorBase {
  readonly schemes: readonly Scheme[] | undefined;
  readonly host: string;
  readonly path: string;
}

function mirrorBase(text: string, overridePath: boolean): MirrorBase {
  if (!text.includes('://') && !text.includes('@') && !overridePath) {
    return { schemes: undefined, host: parseRegistryHost(text, 'mirror endpoint'), path: '/v2' };
  }
  const shown = withoutSecret(text);
  if (!/^[a-z]+:\/\//i.test(text) || !URL.canParse(text))
    throw invalid(`mirror endpoint "${shown}": want a URL or host[:port]`);
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'https' && scheme !== 'http') throw invalid(`mirror endpoint "${shown}": want https:// or http://`);
  if (url.username !== '' || url.password !== '') {
    const hint = 'put credentials into the docker configuration, under the host of the mirror';
    throw new ImagerError('invalid-input', `mirror endpoint "${shown}": want it without user and password`, { hint });
  }
  return {
    schemes: [scheme],
    host: url.host,
    path: overridePath ? writtenPath(text, url) : standardPath(url.pathname),
  };
}

/** Cleaned, and ending in `/v2`. */
function standardPath(pathname: string): string {
  const cleaned = pathname.replace(/\/+/g, '/').replace(/\/$/, '');
  return cleaned.endsWith('/v2') ? cleaned : `${cleaned}/v2`;
}

/** Upstream tells `https://host` and `https://host/` apart here, `URL` does not. */
function writtenPath(text: string, url: URL): string {
  const hasPath = /^[a-z]+:\/\/[^/?#]*\//i.test(text);
  return hasPath ? url.pathname.replace(/(?<=^\/|[^/])\/+$/, '') : '';
}

/** Docker Hub has several names; in mirror configurations it is `docker.io`. */
export function mirrorKey(registry: string): string {
  return isDockerHub(registry) ? 'docker.io' : registry;
}

function mirrorFor(key: string, mirrors: Mirrors): RegistryMirror | undefined {
  return own(mirrors, key) ?? (key === 'docker.io' ? own(mirrors, DOCKER_HUB) : undefined) ?? own(mirrors, '*');
}

function own(mirrors: Mirrors, key: string): RegistryMirror | undefined {
  return Object.hasOwn(mirrors, key) ? mirrors[key] : undefined;
}

/** For messages: whatever stands before an `@` may be a password. */
function withoutSecret(text: string): string {
  return text.slice(0, 200).replace(/[^/=]*@/g, '...@');
}
