/** `imager doctor REF`: through which endpoints an image would be pulled, and with whose credentials. Secrets are never part of it. */
import { parseReference } from '../oci/reference.ts';
import type { CredentialSource } from '../oci/registry/credentials.ts';
import { type CredentialFinding, type EndpointFinding, examineEndpoints } from '../oci/registry/examine.ts';
import type { Transport } from '../pipeline/workplace.ts';
import type { Platform } from '../platform/types.ts';
import type { Finding } from './finding.ts';

const SETTINGS: Readonly<Record<string, string>> = {
  'unchecked-tls': 'its TLS certificate is not checked',
  authorities: 'certificate authorities of its own',
  'client-certificate': 'is shown a client certificate',
  headers: 'is sent header fields of its own',
};

/** One line for the image, one for each endpoint in the order of a pull. Throws `invalid-input` for a bad reference, `canceled`. */
export async function examineImage(
  platform: Platform,
  image: string,
  { mirrors = {}, insecure = false, offline = false }: Transport,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { proxyChoice } = await import('../platform/proxy.ts');
  const proxyFor = proxyChoice(platform.environment);
  const options = { mirrors, insecure, contact: !offline, signal };
  const endpoints = await examineEndpoints(platform, parseReference(image), options);
  const server = endpoints.find(({ answer }) => answer?.kind === 'serves');
  const lines = endpoints.map((endpoint) => {
    const proxy = proxyFor(new URL(endpoint.url))?.host;
    return endpointFinding(endpoint, proxy, server !== undefined);
  });
  return [imageFinding(image, endpoints, server, offline), ...lines];
}

function imageFinding(
  image: string,
  endpoints: readonly EndpointFinding[],
  server: EndpointFinding | undefined,
  offline: boolean,
): Finding {
  const subject = `image ${image}`;
  if (server?.answer?.kind === 'serves') {
    return { subject, state: 'good', detail: `${server.answer.digest} from ${server.endpoint}` };
  }
  if (offline) return { subject, state: 'note', detail: 'no endpoint was asked' };
  const what = endpoints.length === 0 ? 'no endpoint may be asked for it' : `served by none of ${endpoints.length}`;
  return { subject, state: 'bad', detail: what };
}

function endpointFinding(endpoint: EndpointFinding, proxy: string | undefined, isServed: boolean): Finding {
  const { answer, isMirror, withheld, settings, credential } = endpoint;
  const words = [
    isMirror ? 'mirror' : 'the registry itself',
    ...(answer === undefined ? [] : [answer.kind === 'serves' ? `has ${answer.digest}` : answer.reason]),
    credentialWords(credential),
    ...(proxy === undefined ? [] : [`through the proxy ${proxy}`]),
    ...settings.map((one) => SETTINGS[one] ?? one),
    ...(withheld.includes('resolve') ? ['not asked for tags'] : []),
    ...(withheld.includes('pull') ? ['not asked for content'] : []),
  ];
  const hint = answer?.kind === 'fails' && answer.hint !== undefined ? ` (${answer.hint})` : '';
  const state = answer === undefined ? 'note' : answer.kind === 'serves' ? 'good' : isServed ? 'note' : 'bad';
  return { subject: endpoint.endpoint, state, detail: `${words.join('; ')}${hint}` };
}

function credentialWords(credential: CredentialFinding): string {
  switch (credential.kind) {
    case 'none':
      return 'anonymous';
    case 'given':
      return 'credentials given';
    case 'found':
      return `credentials from ${sourceWords(credential.source)}`;
    case 'empty':
      return `anonymous, ${sourceWords(credential.source)} has no credentials`;
    case 'failed':
      return `credentials: ${credential.reason}`;
  }
}

function sourceWords(source: CredentialSource): string {
  switch (source.kind) {
    case 'environment':
      return `${source.name} in the environment`;
    case 'file':
      return source.path;
    case 'helper':
      return `${source.command}, named in ${source.path}`;
  }
}
