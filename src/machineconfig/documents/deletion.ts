/** `$patch: delete` in a patch: what is to go, and what remains to be merged. Source: spec machine-config 1, "Patches". */
import type { Problem } from '../../yaml/diagnostic.ts';
import type { MappingEntry, MappingNode, ScalarNode, YamlNode } from '../../yaml/document.ts';
import { asText } from '../../yaml/scalar.ts';
import { problemOf } from '../decode.ts';
import { KINDS } from './kinds.ts';

export interface Deletion {
  /** `''` for the root document. */
  readonly kind: string;
  readonly name: string;
  /** Names of fields, or what tells an item of a list; nothing for the document as a whole. */
  readonly path: readonly (string | { readonly key: string; readonly text: string })[];
}

/** `rest` is absent when the document itself is to go. Mappings without deletions come back as they are. */
export function deletionsOf(
  document: MappingNode,
  problems: Problem[],
): { readonly deletions: readonly Deletion[]; readonly rest?: MappingNode } {
  const kind = headerText(document, 'kind');
  const isNamed = Object.hasOwn(KINDS, kind) && KINDS[kind]!.named === true;
  const name = isNamed ? headerText(document, 'name') : '';
  const marker = deleteMarker(document);
  if (marker === undefined) {
    const deletions: Deletion[] = [];
    const note = (path: Deletion['path']): void => {
      deletions.push({ kind, name, path });
    };
    const rest = swept(document, [], note, problems);
    // A root document has no header that would remain.
    return rest.entries.length === 0 && deletions.length > 0 ? { deletions } : { deletions, rest };
  }
  const wanted = ['apiVersion', 'kind', ...(isNamed ? ['name'] : [])];
  const missing = wanted.find((header) => headerText(document, header) === '');
  const strange = document.entries.find(({ key }) => key !== marker.key && !wanted.includes(key.text));
  if (missing !== undefined)
    problems.push(problemOf({ node: document, path: '' }, `$patch: delete: want ${missing}, too`));
  if (strange !== undefined)
    problems.push(problemOf({ node: strange.key, path: strange.key.text }, 'not beside $patch: delete'));
  return { deletions: [{ kind, name, path: [] }] };
}

type Note = (path: Deletion['path']) => void;

function swept(node: MappingNode, path: Deletion['path'], note: Note, problems: Problem[]): MappingNode {
  const entries = node.entries.flatMap((entry): MappingEntry[] => {
    const inner = [...path, entry.key.text];
    const { value } = entry;
    if (value.kind === 'mapping' && deleteMarker(value) !== undefined && value.entries.length === 1) {
      note(inner);
      return [];
    }
    const rest = sweptValue(value, inner, note, problems);
    return rest === undefined ? [] : [{ key: entry.key, value: rest }];
  });
  return { ...node, entries };
}

/** Absent where nothing but deletions was there. */
function sweptValue(node: YamlNode, path: Deletion['path'], note: Note, problems: Problem[]): YamlNode | undefined {
  if (node.kind === 'scalar') return node;
  if (node.kind === 'mapping') {
    const rest = swept(node, path, note, problems);
    return rest.entries.length === 0 && node.entries.length > 0 ? undefined : rest;
  }
  const items = node.items.filter((item) => {
    const marker = item.kind === 'mapping' ? deleteMarker(item) : undefined;
    if (marker === undefined) return true;
    const key = (item as MappingNode).entries.find((entry) => entry !== marker);
    const text = key === undefined ? undefined : asText(key.value);
    if (text === undefined)
      problems.push(problemOf({ node: marker.key, path: '$patch' }, 'want a key that tells the item, too'));
    else note([...path, { key: key!.key.text, text }]);
    return false;
  });
  return items.length === 0 && node.items.length > 0 ? undefined : { ...node, items };
}

function deleteMarker(node: MappingNode): MappingEntry | undefined {
  return node.entries.find(({ key, value }) => key.text === '$patch' && (value as ScalarNode).text === 'delete');
}

function headerText(node: MappingNode, name: string): string {
  const value = node.entries.find(({ key }) => key.text === name)?.value;
  return (value === undefined ? undefined : asText(value)) ?? '';
}
