/**
 * containerd's `hosts.toml`: how the images of one registry are reached. Sources: containerd docs/hosts.md and core/remotes/docker/config (v2.1); Talos writes
 * the same files.
 */
import { parse, TomlError, type TomlValue } from 'smol-toml';
import { ImagerError, invalid } from '../../errors.ts';
import type { Capability } from './mirrors.ts';

/** What is said of one host; paths are as written. */
export interface HostSettings {
  readonly capabilities: readonly Capability[] | undefined;
  /** Files of certificate authorities. */
  readonly ca: readonly string[];
  /** Files of client certificates, with those of their keys; a certificate's own file holds the key where there is none. */
  readonly client: readonly ClientFiles[];
  readonly skipVerify: boolean;
  readonly overridePath: boolean;
  /** Lower-case names; several values of a name joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ClientFiles {
  readonly certificate: string;
  readonly key: string | undefined;
}

export interface HostsFile {
  /** URL of what is asked last; without it that is the registry itself. */
  readonly server: string | undefined;
  /** For what is asked last; `capabilities` count for a `server` alone. */
  readonly root: HostSettings;
  /** In the order of the file, each asked before the next. */
  readonly hosts: readonly (HostSettings & { readonly url: string })[];
}

const CAPABILITIES: readonly string[] = ['pull', 'resolve', 'push', 'referrers'] satisfies Capability[];

/**
 * Parses a file that `label` names in errors. Members we do not know are passed over, as containerd does. Throws `invalid-input`: where containerd would go
 * on as if there was no such file, a mirror would silently not be used.
 */
export function parseHostsToml(text: string, label: string): HostsFile {
  const document = parseToml(text, label);
  const server = document.server === undefined ? undefined : textOf(document.server, `${label}: server`);
  const hosts = Object.entries(tableOf(document.host ?? {}, `${label}: host`));
  return {
    server: server === undefined || server === '' ? undefined : withScheme(server),
    root: settingsOf(document, label),
    hosts: hosts.map(([url, table]) => {
      const what = `${label}: host."${url}"`;
      return { url: withScheme(url), ...settingsOf(tableOf(table, what), what) };
    }),
  };
}

type Table = Readonly<Record<string, TomlValue>>;

function parseToml(text: string, label: string): Table {
  try {
    return parse(text, { integersAsBigInt: 'asNeeded' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The message goes on with an excerpt, which may hold a header that is a secret.
    const reason = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '');
    throw new ImagerError('invalid-input', `${label}:${error.line}:${error.column}: ${reason}`, { cause: error });
  }
}

function settingsOf(table: Table, what: string): HostSettings {
  const { capabilities, ca, client, skip_verify, override_path, header } = table;
  return {
    capabilities: capabilities === undefined ? undefined : capabilitiesOf(capabilities, `${what}: capabilities`),
    ca: ca === undefined ? [] : textsOf(ca, `${what}: ca`),
    client: client === undefined ? [] : clientFilesOf(client, `${what}: client`),
    skipVerify: flagOf(skip_verify, `${what}: skip_verify`),
    overridePath: flagOf(override_path, `${what}: override_path`),
    headers: header === undefined ? {} : headersOf(tableOf(header, `${what}: header`), `${what}: header`),
  };
}

/** None at all means all of them; capitals do not matter. */
function capabilitiesOf(value: TomlValue, what: string): readonly Capability[] | undefined {
  const names = textsOf(value, what).map((name) => name.toLowerCase());
  for (const name of names) {
    if (!CAPABILITIES.includes(name)) throw invalid(`${what}: "${name}": want ${CAPABILITIES.join(', ')}`);
  }
  return names.length === 0 ? undefined : (names as readonly Capability[]);
}

/** One file with both, several of these, or pairs of certificate and key. */
function clientFilesOf(value: TomlValue, what: string): ClientFiles[] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((one, index) => {
    if (typeof one === 'string') return { certificate: one, key: undefined };
    const [certificate, key, ...others] = textsOf(one, `${what}[${index}]`);
    if (certificate === undefined || key === undefined || others.length > 0) {
      throw invalid(`${what}[${index}]: want a certificate and its key`);
    }
    return { certificate, key: key === '' ? undefined : key };
  });
}

function headersOf(table: Table, what: string): Record<string, string> {
  const entries = Object.entries(table).map(([name, value]): [string, string] => {
    const lines = textsOf(value, `${what}.${name}`);
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || lines.some((line) => !/^[\t\x20-\x7e]*$/.test(line))) {
      throw invalid(`${what}.${name}: want a header field of printable ASCII`);
    }
    return [name.toLowerCase(), lines.join(', ')];
  });
  return Object.fromEntries(entries);
}

/** A host without a scheme is spoken to over TLS. */
function withScheme(host: string): string {
  return host.includes('://') ? host : `https://${host}`;
}

function flagOf(value: TomlValue | undefined, what: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw invalid(`${what}: want true or false`);
  return value ?? false;
}

function textOf(value: TomlValue, what: string): string {
  if (typeof value !== 'string') throw invalid(`${what}: want a text`);
  return value;
}

function textsOf(value: TomlValue, what: string): string[] {
  return (Array.isArray(value) ? value : [value]).map((one) => textOf(one, what));
}

function tableOf(value: TomlValue, what: string): Table {
  const isTable = typeof value === 'object' && Object.getPrototypeOf(value) === null;
  if (!isTable && Object.getPrototypeOf(value) !== Object.prototype) throw invalid(`${what}: want a table`);
  return value as Table;
}
