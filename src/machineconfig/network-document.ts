/**
 * The network document of META key 0xa: read as the node reads it, and checked for what would make the node refuse it or
 * sit there without a network. Source: spec machine-config 5, profiles-and-inputs 5.5.
 */
import { byPosition, type Problem, problemsError, renderProblem, type SourceText } from '../yaml/diagnostic.ts';
import { type MappingNode, readFirstDocument, type YamlNode } from '../yaml/document.ts';
import { isNull } from '../yaml/scalar.ts';
import { type CanonicalValue, canonicalObject, decodeObject, described, listed, problemOf } from './decode.ts';
import { networkRules } from './network-rules.ts';
import { FOREIGN_NAMES, NETWORK_DOCUMENT } from './network-schema.ts';

/** What is known about a document before it is read. */
export interface NetworkDocumentOptions {
  /** What problems call the text; default `network document`. */
  readonly file?: string;
  /** Minor version of the Talos 1.x that will read it, to warn of fields it does not know. */
  readonly talosMinor?: number;
}

/** Sections to entries, as the node understands them; zero values are left out, names and numbers are canonical. */
export type NetworkDocument = Readonly<Record<string, CanonicalValue>>;

/** A document as far as it could be read, with everything wrong or doubtful about it. */
export interface NetworkDocumentResult {
  readonly source: SourceText;
  /** Absent when the text is no YAML or no network document at all. With error problems: what could be read. */
  readonly value?: NetworkDocument;
  /** In the order of the text. */
  readonly problems: readonly Problem[];
}

/** A META value holds at most 256 KiB; anything near that is no network configuration of one machine. */
const LIMITS = { maxSize: 256 * 1024, maxDepth: 40, maxNodes: 20_000 } as const;

/** Reads and checks; never throws for what the text says. */
export function parseNetworkDocument(text: string, options: NetworkDocumentOptions = {}): NetworkDocumentResult {
  const { file = 'network document', talosMinor } = options;
  const foreign = foreignText(text.slice(0, LIMITS.maxSize));
  if (foreign !== undefined) return { source: { file, text }, problems: [foreign] };
  const { source, document, problems: syntax, next } = readFirstDocument(text, { file, ...LIMITS });
  const problems = [...syntax];
  if (next !== undefined) {
    const message = 'a second document: Talos reads the first and ignores the rest';
    problems.push({ severity: 'warning', position: next, message });
  }
  if (document === undefined || isNull(document)) {
    if (problems.length === 0) problems.push(emptyDocument(document));
    return { source, value: {}, problems };
  }
  const other = document.kind === 'mapping' ? foreignDocument(document) : notAMapping(document);
  if (other !== undefined) return { source, problems: [...problems, other] };
  const decodeOptions = talosMinor === undefined ? {} : { talosMinor };
  const root = decodeObject(
    document as MappingNode,
    NETWORK_DOCUMENT,
    { foreignNames: FOREIGN_NAMES, ...decodeOptions },
    problems,
  );
  problems.push(...networkRules(root));
  return { source, value: canonicalObject(root, NETWORK_DOCUMENT), problems: problems.sort(byPosition) };
}

/**
 * As `parseNetworkDocument`, for callers that need a good one: throws one `invalid-input` error with all errors in it,
 * and returns the warnings rendered with their source lines.
 */
export function checkNetworkDocument(
  text: string,
  options: NetworkDocumentOptions = {},
): { readonly value: NetworkDocument; readonly warnings: readonly string[] } {
  const { source, value, problems } = parseNetworkDocument(text, options);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0 || value === undefined) throw problemsError(source, errors);
  return { value, warnings: problems.map((problem) => renderWarning(source, problem)) };
}

function renderWarning(source: SourceText, problem: Problem): string {
  const hint = problem.hint === undefined ? '' : `\n      hint: ${problem.hint}`;
  return renderProblem(source, problem) + hint;
}

function emptyDocument(document: YamlNode | undefined): Problem {
  const position = document?.position ?? { line: 1, column: 1 };
  return { severity: 'warning', position, message: 'no settings: to Talos this is the same as no document' };
}

function notAMapping(node: YamlNode): Problem {
  const sections = listed(Object.keys(NETWORK_DOCUMENT.fields));
  return problemOf({ node, path: '' }, `${described(node)}: want a mapping with ${sections}`);
}

/** What the start of a text gives away before it is read as YAML. */
const FOREIGN_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/^\s*<(?:!doctype|html|\?xml)/i, 'this is a web page or XML'],
  [
    /^\s*(?:[#;].*\n\s*)*\[(?:Match|Network|Link|NetDev|connection|ipv4)\]/,
    'this is an INI file of systemd or NetworkManager',
  ],
  [/^\s*(?:#.*\n\s*)*(?:auto|iface|allow-hotplug|source)\s+\S+/, 'this is a Debian interfaces file'],
  [/^-----BEGIN /, 'this is PEM data'],
];

function foreignText(text: string): Problem | undefined {
  const what = FOREIGN_TEXTS.find(([pattern]) => pattern.test(text))?.[1];
  return what === undefined ? undefined : notThis({ line: 1, column: 1 }, what);
}

interface ForeignDocument {
  readonly what: string;
  readonly keys: readonly string[];
  readonly hint?: string;
}

/** Documents that are often pasted here. Upstream takes them all without a word and configures nothing. */
const FOREIGN_DOCUMENTS: readonly ForeignDocument[] = [
  {
    what: 'this is a machine configuration',
    keys: ['machine', 'cluster'],
    hint: 'pass it with --embedded-config-path; META 0xa takes addresses, links, routes and so on at the top',
  },
  { what: 'this is a netplan file', keys: ['network', 'ethernets', 'renderer', 'wifis', 'bonds'] },
  { what: 'this is cloud-init data', keys: ['write_files', 'runcmd', 'ssh_authorized_keys'] },
  { what: 'this is an nmstate file', keys: ['dns-resolver', 'route-rules'] },
  { what: 'this is a profile of the imager', keys: ['customization', 'arch', 'overlay'] },
];

function foreignDocument(document: MappingNode): Problem | undefined {
  const keys = new Map(document.entries.map(({ key }) => [key.text, key]));
  if (Object.keys(NETWORK_DOCUMENT.fields).some((section) => section !== 'metadata' && keys.has(section)))
    return undefined;
  const kind = keys.get('kind');
  if (kind !== undefined && keys.has('apiVersion')) {
    const value = document.entries.find(({ key }) => key === kind)?.value;
    const name =
      value?.kind === 'scalar' ? `a ${value.text.slice(0, 60)} document` : 'a document with kind and apiVersion';
    return notThis(kind.position, `this is ${name}, a part of a machine configuration`, FOREIGN_DOCUMENTS[0]?.hint);
  }
  for (const { what, keys: telling, hint } of FOREIGN_DOCUMENTS) {
    const key = telling.map((name) => keys.get(name)).find((found) => found !== undefined);
    if (key !== undefined) return notThis(key.position, what, hint);
  }
  return undefined;
}

function notThis(position: Problem['position'], what: string, given?: string): Problem {
  const hint = given ?? 'META 0xa takes a mapping with addresses, links, routes, hostnames, resolvers and so on';
  return {
    severity: 'error',
    position,
    message: `${what}, not a network document: Talos would configure nothing`,
    hint,
  };
}
