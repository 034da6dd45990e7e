/** Conversations with the registry that is pushed to. */
import type { Platform } from '../../platform/types.ts';
import { registryItself } from './mirrors.ts';
import { withPushAdvice } from './push-error.ts';
import type { PushTarget } from './push-target.ts';
import { type RegistryOptions, sessionOptionsOf } from './registry.ts';
import { openSession, ping, type Session } from './session.ts';

/** Sessions of one push; they share what the registry was found to want. */
export interface PushSessions {
  readonly options: ReturnType<typeof sessionOptionsOf>;
  /** For the target, and to pull from another repository if there is one. */
  readonly open: (from?: string) => Session;
}

/** Asks the registry itself, never a mirror, how it is spoken to. Throws `dependency` when it is out of reach. */
export async function openPushSessions(
  platform: Platform,
  { registry, repository }: PushTarget,
  options: Omit<RegistryOptions, 'report'> & { readonly signal?: AbortSignal },
): Promise<PushSessions> {
  const sessionOptions = sessionOptionsOf(platform, options);
  const endpoint = registryItself(registry, options.mirrors, options.insecure);
  const connection = await ping(platform, endpoint, sessionOptions, options.signal);
  const scope = `repository:${repository}:pull,push`;
  return {
    options: sessionOptions,
    open(from) {
      const scopes = from === undefined ? [scope] : [scope, `repository:${from}:pull`];
      const session = openSession(platform, endpoint, repository, connection, sessionOptions, scopes);
      return {
        ...session,
        send: (request) =>
          session.send(request).catch((error: unknown) => {
            throw withPushAdvice(error, endpoint.host);
          }),
      };
    },
  };
}
