/** Tokens of a registry's token server. Source: distribution "Token Authentication", spec factory-and-signatures H3. */
import { ImagerError } from '../../errors.ts';
import type { HttpRequest } from '../../platform/types.ts';
import { maySendTo } from './address.ts';
import type { Challenge } from './challenge.ts';
import type { Credential } from './docker-config.ts';
import { refusal } from './registry-error.ts';
import { readBody, type Send } from './transport.ts';

export interface Token {
  readonly value: string;
  /** Seconds from now. */
  readonly lifetime: number;
}

/** What a token that does not say lives for, seconds (distribution specification). */
const DEFAULT_LIFETIME = 60;
const REPLY_LIMIT = 65536;
const CLIENT_ID = 'bootwright';

export interface TokenRequest {
  /** Base URL of the registry that gave the challenge. */
  readonly registry: string;
  readonly challenge: Challenge;
  readonly credential: Exclude<Credential, { kind: 'registry-token' }> | undefined;
  readonly scopes: readonly string[];
}

/**
 * Gets a token for the scopes, with the credential or anonymously. `makeSend` gives a transport that shows `authorization`
 * to the one origin named and to no other. Throws `dependency`.
 */
export async function fetchToken(
  makeSend: (origin: string, authorization: string | undefined) => Send,
  { registry, challenge, credential, scopes }: TokenRequest,
  signal?: AbortSignal,
): Promise<Token> {
  const realm = checkedRealm(challenge.parameters.realm ?? '', new URL(registry));
  const service = challenge.parameters.service ?? '';
  const signalOption = signal === undefined ? {} : { signal };
  const what = `token for ${scopes.join(' ')}`;

  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({
      client_id: CLIENT_ID,
      grant_type: 'refresh_token',
      refresh_token: credential.token,
      scope: scopes.join(' '),
      service,
    });
    const request: HttpRequest = {
      method: 'POST',
      url: realm.href,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new TextEncoder().encode(form.toString()),
      ...signalOption,
    };
    const response = await makeSend(realm.origin, undefined)(request);
    if (response.status === 200) return parseToken(await readBody(response, REPLY_LIMIT, realm.host), realm.host);
    // A server without this grant: the same token as the password of a well-known user.
    if (response.status !== 404 && response.status !== 405) throw await refusal(response, realm.host, what);
    await response.discard();
  }

  const url = new URL(realm);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  url.searchParams.append('service', service);
  url.searchParams.sort();
  const response = await makeSend(
    realm.origin,
    basicFor(credential),
  )({ method: 'GET', url: url.href, ...signalOption });
  if (response.status !== 200) throw await refusal(response, realm.host, what);
  return parseToken(await readBody(response, REPLY_LIMIT, realm.host), realm.host);
}

/** The value of an `Authorization` header of the Basic scheme, in UTF-8 (RFC 7617). */
export function basicAuthorization(user: string, password: string): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`;
}

function basicFor(credential: TokenRequest['credential']): string | undefined {
  if (credential === undefined) return undefined;
  return credential.kind === 'identity-token'
    ? basicAuthorization('<token>', credential.token)
    : basicAuthorization(credential.user, credential.password);
}

/**
 * A realm is the registry's word, and we are about to send it a password: no plain HTTP unless the registry was reached
 * that way itself, and no address on our own network unless the registry is on it.
 */
function checkedRealm(text: string, registry: URL): URL {
  const shown = JSON.stringify(text.slice(0, 200));
  if (text === '') throw new ImagerError('dependency', `${registry.host}: Bearer challenge without a realm`);
  if (!URL.canParse(text)) throw new ImagerError('dependency', `${registry.host}: token realm ${shown}: want a URL`);
  const realm = new URL(text);
  if (realm.protocol !== 'https:' && !(realm.protocol === 'http:' && registry.protocol === 'http:')) {
    throw new ImagerError('dependency', `${registry.host}: token realm ${shown}: want https://`);
  }
  if (realm.username !== '' || realm.password !== '') {
    throw new ImagerError('dependency', `${registry.host}: token realm on ${realm.host}: want it without a user`);
  }
  if (!maySendTo(registry, realm)) {
    throw new ImagerError('dependency', `${registry.host}: token realm ${shown}: want no address of a private network`);
  }
  realm.hash = '';
  return realm;
}

function parseToken(data: Uint8Array, where: string): Token {
  const reply = parseReply(new TextDecoder().decode(data));
  const value = [reply?.access_token, reply?.token].find((one) => typeof one === 'string' && one !== '');
  if (typeof value !== 'string') throw new ImagerError('dependency', `${where}: answer without a token`);
  if (!/^[\x21-\x7e]+$/.test(value))
    throw new ImagerError('dependency', `${where}: token of characters no header takes`);
  const lifetime = reply?.expires_in;
  const isTime = typeof lifetime === 'number' && lifetime > 0 && Number.isFinite(lifetime);
  return { value, lifetime: isTime ? lifetime : DEFAULT_LIFETIME };
}

/** The parse error is dropped on purpose: it quotes the reply, which holds the token. */
function parseReply(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
