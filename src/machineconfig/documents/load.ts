/**
 * A stream of machine configuration documents, as the loader on the node takes it: each a kind of the table, known keys only,
 * none twice. All problems are told, where the node stops at the first. Source: spec machine-config 1.
 */
import { nearName, type Problem, quoted, type SourceText } from '../../yaml/diagnostic.ts';
import { type MappingNode, readDocuments, type ScalarNode, type YamlNode } from '../../yaml/document.ts';
import { asText, isNull } from '../../yaml/scalar.ts';
import { decodeObject, described, type LocatedObject, problemOf } from '../decode.ts';
import type { ObjectType } from '../field-types.ts';
import { textOf } from '../located.ts';
import { objectType } from './field-table.ts';
import { KINDS } from './kinds.ts';
import { ROOT } from './root.ts';

/** One document: `kind` is `''` for the root document, `name` for kinds without one. */
export interface ConfigDocument {
  readonly kind: string;
  readonly name: string;
  readonly object: LocatedObject;
}

export interface LoadedConfig {
  readonly source: SourceText;
  readonly documents: readonly ConfigDocument[];
  /** In no particular order. */
  readonly problems: readonly Problem[];
}

/** A machine configuration with all secrets and manifests is far below; the node has no bounds, and hangs on alias bombs. */
const LIMITS = { maxSize: 4 * 1024 * 1024, maxDepth: 500, maxNodes: 200_000 } as const;

/** Loads `text`; `minor` is that of the Talos 1.x that will read it. */
export function loadDocuments(text: string, file: string, minor: number): LoadedConfig {
  const {
    source,
    documents: nodes,
    problems: syntax,
  } = readDocuments(text, { file, ...LIMITS, refusesMergeKeys: true });
  const problems = [...syntax];
  const present = nodes.filter((node) => !isNull(node));
  if (present.length === 0 && problems.length === 0) {
    const message = 'no document: want at least one, like "apiVersion: v1alpha1", "kind: ..."';
    problems.push({ severity: 'error', position: { line: 1, column: 1 }, message });
  }
  const loaded = loadNodes(present, minor);
  return { source, documents: loaded.documents, problems: [...problems, ...loaded.problems] };
}

/** As `loadDocuments`, of trees that were read already and hold no null document. */
export function loadNodes(nodes: readonly YamlNode[], minor: number): Omit<LoadedConfig, 'source'> {
  const problems: Problem[] = [];
  const documents = nodes.flatMap((node) => loadDocument(node, minor, problems));
  return { documents, problems: [...problems, ...repeated(documents), ...conflicting(documents)] };
}

/** The type of a document's fields, header included. */
export function documentType(kind: string): ObjectType {
  let type = TYPES.get(kind);
  if (type === undefined) {
    const header = { apiVersion: 'string', kind: 'string' };
    type = objectType(kind === '' ? ROOT : { ...header, ...KINDS[kind]!.fields });
    TYPES.set(kind, type);
  }
  return type;
}

/** Compiled when first asked for: a run that reads no machine configuration should not wait for all of them. */
const TYPES = new Map<string, ObjectType>();

function loadDocument(node: YamlNode, minor: number, problems: Problem[]): ConfigDocument[] {
  if (node.kind !== 'mapping') {
    const hint = node.kind === 'sequence' ? 'a JSON patch is no configuration' : undefined;
    problems.push(problemOf({ node, path: '' }, `${described(node)}: want a document, a mapping with kind`, { hint }));
    return [];
  }
  const kind = kindOf(node, minor, problems);
  if (kind === undefined) return [];
  const options = { foreignNames: {}, talosMinor: minor, refusesUnknown: true } as const;
  const object = decodeObject(node, documentType(kind), options, problems);
  const name = kind !== '' && KINDS[kind]!.named === true ? (textOf(object, 'name') ?? '') : '';
  return [{ kind, name, object }];
}

/** Keys that only the root document has; one of them is enough. */
const ROOT_KEYS = ['machine', 'cluster', 'debug', 'persist'];

function kindOf(node: MappingNode, minor: number, problems: Problem[]): string | undefined {
  const complain = (at: YamlNode, message: string, hint?: string): undefined => {
    problems.push(problemOf({ node: at, path: '' }, message, { hint }));
  };
  const misread = node.entries.find(({ value }) => isHeaderWord(value))?.value as ScalarNode | undefined;
  if (misread !== undefined)
    return complain(misread, `${quoted(misread.text)} as a value: Talos 1.14 takes it for the key`);
  const kind = headerValue(node, 'kind');
  const version = headerValue(node, 'apiVersion');
  if (kind === undefined || version === undefined) return complain(node, 'kind, apiVersion: want texts');
  const isRoot = node.entries.some(({ key }) => ROOT_KEYS.includes(key.text));
  if (kind.text === '' || (isRoot && kind.text === 'v1alpha1')) {
    if (isRoot || version.text === 'v1alpha1') return '';
    return complain(node, 'kind: not set', 'the root document is told by its keys machine and cluster');
  }
  if (version.text === '' && !isRoot) return complain(node, 'apiVersion: not set: want v1alpha1');
  if (version.text !== '' && version.text !== 'v1alpha1')
    return complain(version.node, `apiVersion ${quoted(version.text)}: want v1alpha1`);
  const table = Object.hasOwn(KINDS, kind.text) ? KINDS[kind.text] : undefined;
  if (table === undefined) {
    const near = nearName(kind.text, Object.keys(KINDS));
    const hint = near === undefined ? 'the reference of Talos lists the kinds' : `did you mean ${near}?`;
    return complain(kind.node, `kind ${quoted(kind.text)}: no such kind of document`, hint);
  }
  if (Number(table.since.split('.')[1]) > minor)
    return complain(kind.node, `${kind.text}: Talos before ${table.since} refuses this kind`);
  return kind.text;
}

/** Upstream looks for the header among keys and values alike (spec machine-config 1, "Lookup defect"). */
function isHeaderWord(node: YamlNode): boolean {
  return node.kind === 'scalar' && (node.text === 'kind' || node.text === 'apiVersion');
}

function headerValue(node: MappingNode, name: string): { readonly text: string; readonly node: YamlNode } | undefined {
  const value = node.entries.find(({ key }) => key.text === name)?.value;
  if (value === undefined || isNull(value)) return { text: '', node };
  const text = asText(value);
  return text === undefined ? undefined : { text, node: value };
}

function repeated(documents: readonly ConfigDocument[]): Problem[] {
  const seen = new Map<string, ConfigDocument>();
  return documents.flatMap((document) => {
    const id = `${document.kind}/${document.name}`;
    const earlier = seen.get(id);
    if (earlier === undefined) {
      seen.set(id, document);
      return [];
    }
    const { line } = earlier.object.node.position;
    return [problemOf(document.object, `${titleOf(document)}: already there on line ${line}`)];
  });
}

/** `LinkConfig "eth0"`. */
export function titleOf({ kind, name }: ConfigDocument): string {
  const what = kind === '' ? 'the root document' : kind;
  return name === '' ? what : `${what} ${quoted(name)}`;
}

/** Kinds of which only one may have a name: they configure the same thing. */
const EXCLUSIVE: readonly (readonly string[])[] = [
  [
    'BondConfig',
    'BridgeConfig',
    'DummyLinkConfig',
    'LinkConfig',
    'VLANConfig',
    'VRFConfig',
    'VethConfig',
    'WireguardConfig',
  ],
  ['UserVolumeConfig', 'ExistingVolumeConfig'],
  ['HCloudVIPConfig', 'Layer2VIPConfig'],
];

function conflicting(documents: readonly ConfigDocument[]): Problem[] {
  return EXCLUSIVE.flatMap((kinds) => {
    const owners = new Map<string, ConfigDocument>();
    return documents
      .filter(({ kind }) => kinds.includes(kind))
      .flatMap((document) => configuredNames(document).flatMap((name) => claim(owners, document, name)));
  });
}

function claim(owners: Map<string, ConfigDocument>, document: ConfigDocument, name: string): Problem[] {
  const owner = owners.get(name);
  if (owner === undefined) owners.set(name, document);
  // The same kind twice is told as a repetition, except where the name is that of a peer.
  if (owner === undefined || (owner.kind === document.kind && owner.name === document.name)) return [];
  const { line } = owner.object.node.position;
  return [
    problemOf(document.object, `${document.kind}: ${titleOf(owner)} on line ${line} configures ${quoted(name)}, too`),
  ];
}

/** Both ends of a veth pair are links. */
function configuredNames({ kind, name, object }: ConfigDocument): string[] {
  const peer = kind === 'VethConfig' ? object.fields.get('peer') : undefined;
  const peerName = peer !== undefined && 'fields' in peer ? textOf(peer as LocatedObject, 'name') : undefined;
  return [name, ...(peerName === undefined || peerName === '' ? [] : [peerName])];
}
