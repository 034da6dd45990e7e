/**
 * Registries as sources of images: the pull half of the OCI distribution protocol, over mirrors and the registry itself.
 * Source: OCI distribution-spec v1.1, spec factory-and-signatures H.
 */
import type { Platform } from '../../platform/types.ts';
import type { ImageSource } from '../image-source.ts';
import { TokenCache } from './authorization.ts';
import { findCredential } from './credentials.ts';
import type { Credential, CredentialTarget } from './docker-config.ts';
import { type Connect, type RepositoryName, sourceOver } from './endpoints-source.ts';
import { type Endpoint, endpointsOf, type Mirrors } from './mirrors.ts';
import type { RegistryEvent } from './registry-event.ts';
import { remember } from './remember.ts';
import { DEFAULT_TRIES } from './retry.ts';
import { type Connection, openSession, ping, type SessionOptions } from './session.ts';
import { type Clock, systemClock } from './transport.ts';

export type { RepositoryName } from './endpoints-source.ts';
export type { RegistryEvent } from './registry-event.ts';

/** Milliseconds. Talos gives a pull 90 s without a byte before it calls it stalled. */
const DEFAULT_STALL_TIMEOUT = 90_000;
const DEFAULT_BUDGET = 300_000;

export interface RegistryOptions {
  readonly mirrors?: Mirrors;
  /** TLS certificates are not checked and plain HTTP is tried: the user marked this registry, its mirrors included. */
  readonly insecure?: boolean;
  /** By `host[:port]`; before every other source of credentials. */
  readonly credentials?: Readonly<Record<string, Credential>>;
  /** Attempts per request at each endpoint; 3 unless told. */
  readonly tries?: number;
  /** Milliseconds without a byte, or with hardly any, before a connection counts as broken; 90 s unless told. */
  readonly stallTimeout?: number;
  /** Milliseconds for whatever is asked for, all endpoints, tries and pauses together, but without the time a blob comes in; 5 min unless told. */
  readonly budget?: number;
  /** From 0 to below 1, for the length of pauses. */
  readonly random?: () => number;
  /** `bootwright` unless told. */
  readonly userAgent?: string;
  readonly clock?: Clock;
  /** Told what happened on the way to a result. */
  readonly report?: (event: RegistryEvent) => void;
}

/** Registries under one set of options; their sources share connections and tokens. */
export interface Registries {
  /** At all endpoints of its registry unless told. */
  source(name: RepositoryName, endpoints?: readonly Endpoint[]): ImageSource;
}

/** One repository as a source of images. Nothing is contacted before the source is asked. Throws `invalid-input` for mirrors that are no URLs. */
export function registrySource(platform: Platform, name: RepositoryName, options: RegistryOptions = {}): ImageSource {
  return openRegistries(platform, options).source(name);
}

/** One repository at one of its endpoints and nowhere else. */
export function endpointSource(
  platform: Platform,
  name: RepositoryName,
  endpoint: Endpoint,
  options: RegistryOptions = {},
): ImageSource {
  return openRegistries(platform, options).source(name, [endpoint]);
}

/** For the sources of one build: what was found out about an endpoint for one image serves the next. */
export function openRegistries(platform: Platform, options: RegistryOptions = {}): Registries {
  const { report = () => undefined } = options;
  const session = sessionOptionsOf(platform, options);
  const connections = new Map<string, Promise<Connection>>();
  const connect: Connect = async (endpoint, repository, signal) => {
    const { schemes, host, path } = endpoint;
    const key = JSON.stringify([schemes, host, path]);
    const connection = await remember(connections, key, signal, () => ping(platform, endpoint, session, signal));
    return openSession(platform, endpoint, repository, connection, session);
  };
  return {
    source: (name, endpoints = endpointsOf(name.registry, options.mirrors, options.insecure)) =>
      sourceOver(platform, name, endpoints, report, session, connect),
  };
}

/** What was not said by its default; tokens and credentials are remembered as long as the result is used. */
export function sessionOptionsOf(
  platform: Platform,
  options: Omit<RegistryOptions, 'mirrors' | 'report'>,
): SessionOptions {
  const clock = options.clock ?? systemClock;
  return {
    insecure: options.insecure === true,
    tries: options.tries ?? DEFAULT_TRIES,
    clock,
    random: options.random ?? Math.random,
    budget: options.budget ?? DEFAULT_BUDGET,
    tokens: new TokenCache(clock),
    stallTimeout: options.stallTimeout ?? DEFAULT_STALL_TIMEOUT,
    userAgent: options.userAgent ?? 'bootwright',
    credential: credentialsOf(platform, options.credentials ?? {}),
  };
}

/** Looked up once per target: a helper may ask the user something. */
function credentialsOf(platform: Platform, own: Readonly<Record<string, Credential>>): SessionOptions['credential'] {
  const known = new Map<string, Promise<Credential | undefined>>();
  return (target: CredentialTarget, signal) => {
    if (Object.hasOwn(own, target.host)) return Promise.resolve(own[target.host]);
    const key = JSON.stringify([target.host, target.repository]);
    return remember(known, key, signal, () => findCredential(platform, target, signal));
  };
}
