/** The docker credential helper protocol: `docker-credential-<name> get`, server on stdin, JSON on stdout. */
import { ImagerError, invalid } from '../../errors.ts';
import type { Platform } from '../../platform/types.ts';
import type { Credential } from './docker-config.ts';

/** A helper may ask the user to unlock a key ring. */
const TIMEOUT = 60_000;
const OUTPUT_LIMIT = 1 << 20;
/** What a helper prints, on stdout, when it knows no credential: an answer, not a failure. */
const NOT_FOUND = 'credentials not found in native keychain';

/**
 * What helpers need to find their key ring, agent or cloud account. Nothing else of our environment reaches them.
 * A trailing `*` stands for every variable that begins so.
 */
const PASSED_ON: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TMPDIR', 'TEMP', 'TMP', 'DOCKER_CONFIG'],
  ...['XDG_*', 'DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'WAYLAND_DISPLAY', 'GNUPGHOME', 'GPG_TTY', 'PASSWORD_STORE_*'],
  ...['AWS_*', 'AZURE_*', 'GOOGLE_*', 'CLOUDSDK_*', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
  ...['SystemRoot', 'USERPROFILE', 'APPDATA', 'LOCALAPPDATA', 'PATHEXT'],
];

/**
 * Asks a helper for the credential of `server`; `undefined` when it has none. A failing helper is a `dependency` error
 * with its name and its words, never an anonymous pull.
 */
export async function askHelper(
  platform: Pick<Platform, 'run' | 'environment' | 'homeDirectory'>,
  name: string,
  server: string,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) {
    throw invalid(
      `credential helper ${JSON.stringify(name.slice(0, 100))}: want the plain name after docker-credential-`,
    );
  }
  const command = `docker-credential-${name}`;
  const { exitCode, stdout, stderr } = await platform.run({
    command,
    args: ['get'],
    stdin: new TextEncoder().encode(server),
    environment: helperEnvironment(platform),
    timeout: TIMEOUT,
    outputLimit: OUTPUT_LIMIT,
    ...(signal === undefined ? {} : { signal }),
  });
  const output = new TextDecoder().decode(stdout).trim();
  if (exitCode === 0) return parseReply(output, command);
  if (output === NOT_FOUND) return undefined;
  const words = [new TextDecoder().decode(stderr), output].map(printable).filter((one) => one !== '');
  throw new ImagerError(
    'dependency',
    `${command}: exit ${exitCode} for ${server}: ${words.join('; ') || 'no message'}`,
  );
}

function parseReply(output: string, command: string): Credential {
  const reply = parseJson(output);
  if (reply === undefined) {
    throw new ImagerError('dependency', `${command}: want JSON with Username and Secret`);
  }
  const { Username: user = '', Secret: secret = '' } = reply;
  if (typeof user !== 'string' || typeof secret !== 'string') {
    throw new ImagerError('dependency', `${command}: want texts for Username and Secret`);
  }
  return user === '<token>'
    ? { kind: 'identity-token', user: '', token: secret }
    : { kind: 'basic', user, password: secret };
}

/** The parse error is dropped on purpose: it quotes the output, which holds the secret. */
function parseJson(text: string): { readonly Username?: unknown; readonly Secret?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function helperEnvironment({
  environment,
  homeDirectory,
}: Pick<Platform, 'environment' | 'homeDirectory'>): Record<string, string> {
  const wanted = (name: string): boolean =>
    PASSED_ON.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
  const passed: Record<string, string> = { HOME: homeDirectory };
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && wanted(name)) passed[name] = value;
  }
  return passed;
}

/** One line of a helper's words. A failing helper that still prints its reply must not have it repeated. */
function printable(text: string): string {
  const line = text.replace(/[^\x20-\x7e]+/g, ' ').trim();
  return /secret"?\s*:/i.test(line) ? '(a reply, not shown)' : line.slice(0, 300);
}
