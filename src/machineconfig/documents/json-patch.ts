/** JSON patches (RFC 6902) of a configuration that is a single document. */
import { errorAt, type SourceText } from '../../yaml/diagnostic.ts';
import { entryValue, parseYaml, type SequenceNode, type YamlNode } from '../../yaml/document.ts';
import { emitYaml } from '../../yaml/emit.ts';
import { asText, isNull } from '../../yaml/scalar.ts';
import { nodeValue, type YamlValue } from '../../yaml/value.ts';

type Container = Record<string, YamlValue> | YamlValue[];

/** The patched text. Throws `invalid-input` for what is no patch, does not fit the document, or has several to choose from. */
export function applyJsonPatch(config: string, patch: SequenceNode, source: SourceText, file: string): string {
  const documents = parseYaml(config, { file }).filter((node) => !isNull(node));
  const refuse = (node: YamlNode, message: string): never => {
    throw errorAt(source, { position: node.position, length: node.length, message });
  };
  if (documents.length !== 1) refuse(patch, 'a JSON patch: want a configuration of one document');
  const root = { '': structuredClone(nodeValue(documents[0]!, refuse)) as YamlValue };
  for (const operation of patch.items) applyOperation(root, operation, refuse);
  return emitYaml(root['']);
}

type Refuse = (node: YamlNode, message: string) => never;

function applyOperation(root: { '': YamlValue }, operation: YamlNode, refuse: Refuse): void {
  const member = (name: string): YamlNode =>
    (operation.kind === 'mapping' ? entryValue(operation, name) : undefined) ?? refuse(operation, `want ${name}`);
  const pointer = (name: string): readonly string[] =>
    pointerOf(asText(member(name)) ?? refuse(member(name), 'want a path'));
  const isDone = operate(root, asText(member('op')) ?? '', {
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
function operate(root: { '': YamlValue }, name: string, { path, from, value }: Operands): boolean | undefined {
  switch (name) {
    case 'add':
      return add(root, path, value());
    case 'remove':
      return remove(root, path) !== undefined;
    case 'replace':
      return remove(root, path) !== undefined && add(root, path, value());
    case 'test':
      return JSON.stringify(find(root, path)) === JSON.stringify(value());
    case 'move':
      return add(root, path, remove(root, from()));
    case 'copy':
      return add(root, path, structuredClone(find(root, from())));
    default:
      return undefined;
  }
}

/** The names along the way; the first, empty one is the document itself. */
function pointerOf(text: string): readonly string[] {
  return text.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function containerOf(root: Container, path: readonly string[]): Container | undefined {
  const found = path.length === 1 ? root : find(root, path.slice(0, -1));
  return typeof found === 'object' && found !== null ? (found as Container) : undefined;
}

function find(root: Container, path: readonly string[]): YamlValue | undefined {
  let found: YamlValue | undefined = root as YamlValue;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, YamlValue>)[name];
  }
  return found;
}

function add(root: Container, path: readonly string[], value: YamlValue | undefined): boolean {
  if (value === undefined) return false;
  const container = containerOf(root, path);
  const name = path.at(-1)!;
  if (!Array.isArray(container)) {
    if (container === undefined || name === '__proto__') return false;
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
