/**
 * Patches of machine configuration: documents merged by kind and name, `$patch: delete`, JSON patches.
 * Source: spec machine-config 1, "Patches".
 */
import { type Problem, problemsError, type SourceText } from '../../yaml/diagnostic.ts';
import { readDocuments, type YamlNode } from '../../yaml/document.ts';
import { isNull } from '../../yaml/scalar.ts';
import type { Located, LocatedObject } from '../decode.ts';
import type { Field, FieldType, ListType, ObjectType } from '../field-types.ts';
import { textOf } from '../located.ts';
import { minorOfVersion } from './check.ts';
import { type Deletion, deletionsOf } from './deletion.ts';
import { encodeMachineConfig, isUnsaid } from './encode.ts';
import { applyJsonPatch } from './json-patch.ts';
import { type ConfigDocument, documentType, loadDocuments, loadNodes } from './load.ts';

/** What is known about the texts of a patch. */
export interface PatchOptions {
  /** What messages call the configuration and the patch. */
  readonly file?: string;
  readonly patchFile?: string;
  /** The Talos that will read the result; the newest known unless told. */
  readonly talosVersion?: string;
}

/**
 * The configuration with the patch applied, as upstream writes it. Throws one `invalid-input` error with every problem of loading
 * the two; what validation finds in the result is `checkMachineConfig`'s matter.
 */
export function patchMachineConfig(config: string, patch: string, options: PatchOptions = {}): string {
  const { file = 'machine configuration', patchFile = 'patch', talosVersion } = options;
  const minor = minorOfVersion(talosVersion);
  const loaded = loadDocuments(config, file, minor);
  throwProblems(loaded.source, loaded.problems);
  const { source, documents: nodes, problems } = readDocuments(patch, { file: patchFile, refusesMergeKeys: true });
  throwProblems(source, problems);
  const present = nodes.filter((node) => !isNull(node));
  if (present[0]?.kind === 'sequence') {
    const patched = applyJsonPatch(config, present[0], source, file);
    const result = loadDocuments(patched, file, minor);
    throwProblems(result.source, result.problems);
    return encodeMachineConfig(result.documents);
  }
  return mergePatch(loaded.documents, present, source, minor);
}

function throwProblems(source: SourceText, problems: readonly Problem[]): void {
  if (problems.length > 0) throw problemsError(source, problems);
}

function mergePatch(
  documents: readonly ConfigDocument[],
  nodes: readonly YamlNode[],
  source: SourceText,
  minor: number,
): string {
  const problems: Problem[] = [];
  const deletions: Deletion[] = [];
  const kept = nodes.flatMap((node): readonly YamlNode[] => {
    if (node.kind !== 'mapping') return [node];
    const found = deletionsOf(node, problems);
    deletions.push(...found.deletions);
    return found.rest === undefined ? [] : [found.rest];
  });
  const patch = loadNodes(kept, minor);
  throwProblems(source, [...problems, ...patch.problems]);
  let result = documents;
  for (const document of patch.documents) result = merged(result, document);
  for (const deletion of deletions) result = without(result, deletion);
  // An empty stream is written as an empty line.
  return result.length === 0 ? '\n' : encodeMachineConfig(result);
}

function merged(documents: readonly ConfigDocument[], patch: ConfigDocument): readonly ConfigDocument[] {
  const at = documents.findIndex(({ kind, name }) => kind === patch.kind && name === patch.name);
  if (at < 0) return [...documents, patch];
  const { object } = documents[at]!;
  return documents.with(at, { ...patch, object: mergedObject(object, patch.object, documentType(patch.kind)) });
}

function mergedObject(base: LocatedObject, patch: LocatedObject, type: ObjectType): LocatedObject {
  const fields = new Map(base.fields);
  for (const [name, located] of patch.fields) {
    const field = type.fields[name]!;
    const before = base.fields.get(name);
    if (before === undefined) fields.set(name, located);
    else if (!isUnsaid(located, field)) fields.set(name, mergedField(before, located, field, name));
  }
  return { ...base, fields, value: fields } as LocatedObject;
}

function mergedField(base: Located, patch: Located, field: Field, name: string): Located {
  return field.patch === 'replace' ? patch : mergedValue(base, patch, field.type, name);
}

function mergedValue(base: Located, patch: Located, type: FieldType, name: string): Located {
  switch (type.kind) {
    case 'object':
      return mergedObject(base as LocatedObject, patch as LocatedObject, type);
    case 'list':
      return { ...base, value: mergedList(base, patch, type, name) };
    case 'map': {
      const value = new Map(base.value as Map<string, Located>);
      for (const [key, item] of patch.value as Map<string, Located>) {
        const before = value.get(key);
        value.set(key, before === undefined ? item : mergedValue(before, item, type.of, key));
      }
      return { ...base, value };
    }
    case 'free':
      return { ...base, value: mergedFree(base.value, patch.value) };
    default:
      return patch;
  }
}

function mergedFree(base: unknown, patch: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(patch)) return [...base, ...patch];
  const areRecords = [base, patch].every((one) => Object.getPrototypeOf(one ?? 0) === Object.prototype);
  if (!areRecords) return patch;
  const result = { ...(base as Record<string, unknown>) };
  for (const [key, value] of Object.entries(patch as Record<string, unknown>)) {
    result[key] = Object.hasOwn(result, key) ? mergedFree(result[key], value) : value;
  }
  return result;
}

/** Fields by which items of a list are told apart; items of other lists are only ever added. */
const ITEM_KEYS: Readonly<Record<string, readonly string[]>> = {
  interfaces: ['interface', 'deviceSelector'],
  vlans: ['vlanId'],
  admissionControl: ['name'],
  configFiles: ['mountPath'],
  rules: ['image'],
};

function mergedList(base: Located, patch: Located, type: ListType, name: string): readonly Located[] {
  const items = [...(base.value as readonly Located[])];
  const keys = Object.hasOwn(ITEM_KEYS, name) && type.of.kind === 'object' ? ITEM_KEYS[name]! : [];
  for (const item of patch.value as readonly Located[]) {
    const at =
      keys.length === 0 ? -1 : items.findIndex((other) => isSameItem(other, item, keys, type.of as ObjectType));
    if (at < 0) items.push(item);
    else items[at] = mergedObject(items[at] as LocatedObject, item as LocatedObject, type.of as ObjectType);
  }
  return items;
}

function isSameItem(a: Located, b: Located, keys: readonly string[], type: ObjectType): boolean {
  const key = keys.find((name) => (b as LocatedObject).fields.has(name));
  if (key === undefined) return false;
  const [left, right] = [a, b].map((item) => (item as LocatedObject).fields.get(key));
  return left !== undefined && right !== undefined && sameValue(left, right, type.fields[key]!.type);
}

function sameValue(a: Located, b: Located, type: FieldType): boolean {
  if (type.kind !== 'object') return a.value === b.value;
  const names = new Set([...(a as LocatedObject).fields.keys(), ...(b as LocatedObject).fields.keys()]);
  return [...names].every((name) => {
    const [left, right] = [a, b].map((one) => (one as LocatedObject).fields.get(name));
    return left !== undefined && right !== undefined && sameValue(left, right, type.fields[name]!.type);
  });
}

/** What is not there need not be deleted. */
function without(documents: readonly ConfigDocument[], deletion: Deletion): readonly ConfigDocument[] {
  const isMeant = ({ kind, name }: ConfigDocument): boolean => kind === deletion.kind && name === deletion.name;
  if (deletion.path.length === 0) return documents.filter((document) => !isMeant(document));
  return documents.map((document) =>
    isMeant(document)
      ? { ...document, object: withoutPath(document.object, deletion.path) as LocatedObject }
      : document,
  );
}

function withoutPath(located: Located, [step, ...rest]: Deletion['path']): Located {
  if (step === undefined) return located;
  if (typeof step === 'object') return { ...located, value: withoutItem(located.value, step) };
  const isObject = 'fields' in located;
  const children = (isObject ? (located as LocatedObject).fields : located.value) as unknown;
  if (!(children instanceof Map)) return { ...located, value: withoutFree(children, [step, ...rest]) };
  const changed = new Map(children as Map<string, Located>);
  const child = changed.get(step);
  if (child === undefined) return located;
  if (rest.length === 0) changed.delete(step);
  else changed.set(step, withoutPath(child, rest));
  return { ...located, value: changed, ...(isObject ? { fields: changed } : {}) } as Located;
}

function withoutItem(value: unknown, { key, text }: Exclude<Deletion['path'][number], string>): unknown {
  if (!Array.isArray(value)) return value;
  const at = (value as readonly Located[]).findIndex((item) => {
    if (!('fields' in item)) return false;
    const field = (item as LocatedObject).fields.get(key);
    return field !== undefined && (textOf(item as LocatedObject, key) === text || String(field.value) === text);
  });
  return at < 0 ? value : value.toSpliced(at, 1);
}

function withoutFree(value: unknown, [step, ...rest]: Deletion['path']): unknown {
  if (typeof step !== 'string' || typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
    return value;
  const { [step]: child, ...others } = value as Record<string, unknown>;
  return rest.length === 0 ? others : { ...(value as object), [step]: withoutFree(child, rest) };
}
