/** JSON patches (RFC 6902) of a configuration that is a single document. */
import { errorAt, type SourceText } from '../../yaml/diagnostic.ts';
import { entryValue, parseYaml, type SequenceNode, type YamlNode } from '../../yaml/document.ts';
import { emitYaml } from '../../yaml/emit.ts';
import { asText, isNull } from '../../yaml/scalar.ts';
import { entriesOf, isMapping, nodeValue, TypedScalar, type YamlScalar, type YamlValue } from '../../yaml/value.ts';

/** Operations can nest and multiply what is there: what no reader takes as a result does not come to be. */
const MAX_DEPTH = 500;
const MAX_VALUES = 100_000;

/** What is patched, and how many values may still be put into it. */
interface Target {
  /** The document under an empty name, so that it has a place of its own like any value. */
  readonly root: { '': YamlValue };
  room: number;
}

type Container = Record<string, YamlValue> | YamlValue[];

/** The patched text. Throws `invalid-input` for what is no patch, does not fit the document, or has several to choose from. */
export function applyJsonPatch(config: string, patch: SequenceNode, source: SourceText, file: string): string {
  const documents = parseYaml(config, { file }).filter((node) => !isNull(node));
  const refuse = (node: YamlNode, message: string): never => {
    throw errorAt(source, { position: node.position, length: node.length, message });
  };
  if (documents.length !== 1) refuse(patch, 'a JSON patch: want a configuration of one document');
  const target: Target = { root: { '': cloned(nodeValue(documents[0]!, refuse)) }, room: MAX_VALUES };
  for (const operation of patch.items) applyOperation(target, operation, refuse);
  return emitYaml(target.root['']);
}

type Refuse = (node: YamlNode, message: string) => never;

function applyOperation(target: Target, operation: YamlNode, refuse: Refuse): void {
  const member = (name: string): YamlNode =>
    (operation.kind === 'mapping' ? entryValue(operation, name) : undefined) ?? refuse(operation, `want ${name}`);
  const pointer = (name: string): readonly string[] =>
    pointerOf(asText(member(name)) ?? '-') ?? refuse(member(name), 'want a path that is empty or begins with "/"');
  const isDone = operate(target, asText(member('op')) ?? '', {
    path: pointer('path'),
    from: () => pointer('from'),
    value: () => nodeValue(member('value'), refuse),
  });
  if (isDone === undefined) refuse(member('op'), 'want add, remove, replace, test, move or copy');
  if (isDone === false) refuse(member('path'), 'does not fit the document');
}

interface Operands {
  readonly path: readonly string[];
  readonly from: () => readonly string[];
  readonly value: () => YamlValue;
}

/** Whether it worked; undefined for an operation that there is not. */
function operate(target: Target, name: string, { path, from, value }: Operands): boolean | undefined {
  const { root } = target;
  switch (name) {
    case 'add':
      return add(target, path, value());
    case 'remove':
      return remove(root, path) !== undefined;
    case 'replace':
      return remove(root, path) !== undefined && add(target, path, value());
    case 'test': {
      const found = find(root, path);
      return found !== undefined && isEqual(found, value());
    }
    case 'move':
      return add(target, path, remove(root, from()));
    case 'copy': {
      const found = find(root, from());
      return add(target, path, found === undefined ? undefined : cloned(found));
    }
    default:
      return undefined;
  }
}

/** The names along the way; the first, empty one is the document itself. */
function pointerOf(text: string): readonly string[] | undefined {
  if (text !== '' && !text.startsWith('/')) return undefined;
  return text.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function containerOf(root: Container, path: readonly string[]): Container | undefined {
  const found = path.length === 1 ? root : find(root, path.slice(0, -1));
  return isContainer(found) ? found : undefined;
}

function find(root: Container, path: readonly string[]): YamlValue | undefined {
  let found: YamlValue | undefined = root as YamlValue;
  for (const name of path) {
    if (!isContainer(found) || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, YamlValue>)[name];
  }
  return found;
}

function isContainer(value: YamlValue | undefined): value is Container {
  return value !== undefined && (Array.isArray(value) || isMapping(value));
}

function add(target: Target, path: readonly string[], value: YamlValue | undefined): boolean {
  if (value === undefined || !hasRoom(target, value, MAX_DEPTH - path.length)) return false;
  const container = containerOf(target.root, path);
  const name = path.at(-1)!;
  if (!Array.isArray(container)) {
    if (container === undefined || container instanceof Map || name === '__proto__') return false;
    container[name] = value;
    return true;
  }
  const index = name === '-' ? container.length : /^(?:0|[1-9][0-9]{0,8})$/.test(name) ? Number(name) : -1;
  if (index < 0 || index > container.length) return false;
  container.splice(index, 0, value);
  return true;
}

function remove(root: Container, path: readonly string[]): YamlValue | undefined {
  const container = containerOf(root, path);
  const name = path.at(-1)!;
  if (container === undefined || !Object.hasOwn(container, name) || name === 'length') return undefined;
  if (Array.isArray(container)) return container.splice(Number(name), 1)[0];
  const value = container[name];
  delete container[name];
  return value;
}

/** Whether the value is not too deep, nor all that was added too much. */
function hasRoom(target: Target, value: YamlValue, depth: number): boolean {
  if (--target.room < 0 || depth < 0) return false;
  return !isContainer(value) || childrenOf(value).every((child) => hasRoom(target, child, depth - 1));
}

function childrenOf(value: Container): readonly YamlValue[] {
  return Array.isArray(value) ? value : entriesOf(value).map(([, child]) => child);
}

/** Containers are made anew, since operations change them; scalars are shared, since a `TypedScalar` is known by its class. */
function cloned(value: YamlValue): YamlValue {
  if (Array.isArray(value)) return value.map(cloned);
  if (!isMapping(value)) return value;
  const entries = entriesOf(value).map(([key, child]) => [key, cloned(child)] as const);
  return value instanceof Map ? new Map(entries) : Object.fromEntries(entries);
}

/** As RFC 6902, 4.6 has it: numbers by value, objects whatever the order of their members. */
function isEqual(a: YamlValue, b: YamlValue): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]!));
  }
  if (!isMapping(a) || !isMapping(b)) return isSameScalar(a as YamlScalar, b as YamlScalar);
  const members = new Map(entriesOf(b).map(([key, value]) => [nameOf(key), value]));
  const entries = entriesOf(a);
  return (
    entries.length === members.size &&
    entries.every(([key, value]) => members.has(nameOf(key)) && isEqual(value, members.get(nameOf(key))!))
  );
}

function isSameScalar(a: YamlScalar, b: YamlScalar): boolean {
  if (a instanceof TypedScalar && b instanceof TypedScalar) return a.tag === b.tag && a.text === b.text;
  if (a instanceof TypedScalar) return a.tag === 'float' && typeof b === 'number' && Number(a.text) === b;
  return b instanceof TypedScalar ? isSameScalar(b, a) : a === b;
}

/** JSON knows names of members only as text. */
function nameOf(key: YamlScalar): string {
  return key instanceof TypedScalar ? key.text : String(key);
}
