/** What each endpoint of an image would do for a pull, and what it would be shown: for people who wonder why a pull does what it does. */
import type { Digest } from '../../bytes/units.ts';
import { ImagerError } from '../../errors.ts';
import type { Platform } from '../../platform/types.ts';
import { identifierOf, type Reference } from '../reference.ts';
import { type CredentialSource, locateCredential } from './credentials.ts';
import { type Capability, type Endpoint, endpointsOf, isCapable } from './mirrors.ts';
import { endpointSource, type RegistryOptions } from './registry.ts';
import { credentialTarget, nameOf } from './session.ts';

/** Milliseconds for one endpoint: whoever asks is waiting. */
const PATIENCE = 15_000;

export interface EndpointFinding {
  /** Host, with the path where it is not the usual one. */
  readonly endpoint: string;
  /** `https://host/v2`, the first of several schemes. */
  readonly url: string;
  readonly isMirror: boolean;
  /** Which the endpoint is not asked for. */
  readonly withheld: readonly Capability[];
  /** What of the connection is not as usual: `unchecked-tls`, `authorities`, `client-certificate`, `headers`. */
  readonly settings: readonly string[];
  readonly credential: CredentialFinding;
  /** What it has under the reference; `undefined` when it was not asked. */
  readonly answer: Answer | undefined;
}

export type CredentialFinding =
  | { readonly kind: 'none' }
  /** Given by the caller. */
  | { readonly kind: 'given' }
  | { readonly kind: 'found'; readonly source: CredentialSource }
  /** The source is responsible, but has none. */
  | { readonly kind: 'empty'; readonly source: CredentialSource }
  | { readonly kind: 'failed'; readonly reason: string };

export type Answer =
  | { readonly kind: 'serves'; readonly digest: Digest }
  | { readonly kind: 'fails'; readonly reason: string; readonly hint: string | undefined };

export interface ExamineOptions extends RegistryOptions {
  /** Asks each endpoint for the image's manifest; without it nothing is contacted, except that credential helpers run. */
  readonly contact?: boolean;
  readonly signal?: AbortSignal;
}

/** Every endpoint in the order of a pull, which takes the first that serves. Throws `invalid-input` for mirrors that are no URLs, `canceled`. */
export async function examineEndpoints(
  platform: Platform,
  reference: Reference,
  options: ExamineOptions = {},
): Promise<EndpointFinding[]> {
  const endpoints = endpointsOf(reference.registry, options.mirrors, options.insecure);
  const findings: EndpointFinding[] = [];
  for (const endpoint of endpoints) {
    findings.push({
      endpoint: nameOf(endpoint),
      url: `${endpoint.schemes[0]}://${endpoint.host}${endpoint.path}`,
      isMirror: endpoint.mirrorOf !== undefined,
      withheld: (['pull', 'resolve'] as const).filter((one) => !isCapable(endpoint, one)),
      settings: settingsOf(endpoint, options),
      credential: await credentialOf(platform, endpoint, reference, options),
      answer: options.contact === true ? await answerOf(platform, endpoint, reference, options) : undefined,
    });
  }
  return findings;
}

function settingsOf({ settings = {} }: Endpoint, { insecure }: ExamineOptions): string[] {
  const { skipVerify, ca, clientCertificate, headers } = settings;
  return [
    ...(skipVerify === true || insecure === true ? ['unchecked-tls'] : []),
    ...(ca === undefined ? [] : ['authorities']),
    ...(clientCertificate === undefined ? [] : ['client-certificate']),
    ...(headers === undefined ? [] : ['headers']),
  ];
}

async function credentialOf(
  platform: Platform,
  endpoint: Endpoint,
  { repository }: Reference,
  { credentials = {}, signal }: ExamineOptions,
): Promise<CredentialFinding> {
  if (Object.hasOwn(credentials, endpoint.host)) return { kind: 'given' };
  try {
    const found = await locateCredential(platform, credentialTarget(endpoint, repository), signal);
    if (found === undefined) return { kind: 'none' };
    return { kind: found.credential === undefined ? 'empty' : 'found', source: found.source };
  } catch (error) {
    return { kind: 'failed', reason: reasonOf(error).reason };
  }
}

async function answerOf(
  platform: Platform,
  endpoint: Endpoint,
  reference: Reference,
  { signal, ...options }: ExamineOptions,
): Promise<Answer> {
  const source = endpointSource(platform, reference, endpoint, { ...options, tries: 1, budget: PATIENCE });
  try {
    const { digest } = await source.manifest(identifierOf(reference), signal);
    return { kind: 'serves', digest };
  } catch (error) {
    return { kind: 'fails', ...reasonOf(error) };
  }
}

function reasonOf(error: unknown): { readonly reason: string; readonly hint: string | undefined } {
  if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
  return { reason: error.message, hint: error.hint };
}
