/**
 * A profile document as text to a `Profile`, along the rows of the schema (specification profiles-and-inputs 2.1). Everything wrong
 * with a document is reported at once, each with line, column and what is wanted.
 */
import { ImagerError, invalid } from '../errors.ts';
import {
  nearName,
  type Position,
  type Problem,
  problemLine,
  problemsError,
  quoted,
  type SourceText,
} from '../yaml/diagnostic.ts';
import { type MappingEntry, type MappingNode, readFirstDocument, type YamlNode } from '../yaml/document.ts';
import { asBoolean, asInteger, asText, isNull, resolveScalar } from '../yaml/scalar.ts';
import { nodeValue, type YamlMapping } from '../yaml/value.ts';
import type { Profile } from './profile.ts';
import {
  below,
  type Fields,
  type FieldValue,
  type ItemRow,
  mapRows,
  PROFILE,
  RETIRED_KEYS,
  type Row,
  type Rows,
  wishOf,
  zeroOf,
} from './schema.ts';

/** How strictly a document is read, and what it is called in messages. */
export interface ParseProfileOptions {
  /** What errors call the text; `profile` unless given. */
  readonly file?: string;
  /** Upstream ignores unknown keys. Profiles from stdin refuse them, those that come with an overlay do not. */
  readonly unknownFields?: 'refuse' | 'warn' | 'ignore';
}

/** A document that was read: every field is there, nothing is merged or defaulted yet. */
export interface ParsedProfile {
  readonly profile: Profile;
  /** `file:line:column: path: message`, one each. */
  readonly warnings: readonly string[];
}

interface Reading {
  readonly source: SourceText;
  readonly unknownFields: 'refuse' | 'warn' | 'ignore';
  readonly problems: Problem[];
  /** About keys that older releases knew: they do not make a document invalid, but unsupported. */
  readonly retired: Problem[];
}

/** The first document of `text`. Throws `invalid-input`, or `unsupported` when nothing is wrong but a retired key. */
export function parseProfile(text: string, options: ParseProfileOptions = {}): ParsedProfile {
  const { file = 'profile', unknownFields = 'refuse' } = options;
  const { reading, document, next } = startReading(
    text,
    file,
    unknownFields,
    'the least is arch, platform and output.kind',
  );
  const profile = readField(reading, { type: 'group', rows: PROFILE as Rows }, document, '') as Profile;
  throwErrors(reading);
  const warnings = [...reading.problems, ...reading.retired].map((problem) => problemLine(reading.source, problem));
  if (next !== undefined && unknownFields !== 'ignore') {
    const message = 'a second document: only the first one is read';
    warnings.push(problemLine(reading.source, { severity: 'warning', position: next, message }));
  }
  return { profile, warnings };
}

/** A file of overlay options: one mapping, whose values keep their types. Throws `invalid-input`. */
export function parseOverlayOptions(text: string, file: string): YamlMapping {
  const { reading, document } = startReading(text, file, 'ignore', 'write names and values, one line each');
  const options = readField(reading, { type: 'free' }, document, '') as YamlMapping;
  throwErrors(reading);
  return options;
}

interface Started {
  readonly reading: Reading;
  readonly document: YamlNode;
  readonly next: Position | undefined;
}

function startReading(text: string, file: string, unknownFields: Reading['unknownFields'], hint: string): Started {
  const { source, document, problems, next } = readFirstDocument(text, { file });
  if (problems.length > 0) throw problemsError(source, problems);
  if (document === undefined) throw invalid(`${file}: empty: want a mapping`, { hint });
  return { reading: { source, unknownFields, problems: [], retired: [] }, document, next };
}

function throwErrors({ source, problems, retired }: Reading): void {
  const errors = [...problems, ...retired].filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  const error = problemsError(source, errors);
  if (problems.some(({ severity }) => severity === 'error')) throw error;
  throw new ImagerError('unsupported', error.message, error.hint === undefined ? {} : { hint: error.hint });
}

function readField(reading: Reading, row: Row, node: YamlNode, path: string): FieldValue {
  if (isNull(node)) return zeroOf(row);
  switch (row.type) {
    case 'text':
      return asText(node) ?? refuse(reading, row, node, path, textHint(node));
    case 'flag':
    case 'optional flag':
      return asBoolean(node) ?? refuse(reading, row, node, path);
    case 'integer':
      return readInteger(reading, row, node, path);
    case 'word':
      return readWord(reading, row, node, path);
    case 'list':
      if (node.kind !== 'sequence') return refuse(reading, row, node, path);
      return readItems(reading, row.item, node.items, path);
    case 'group':
    case 'optional group':
      if (node.kind !== 'mapping') return refuse(reading, row, node, path);
      return readGroup(reading, row.rows, node, path);
    case 'free':
      if (node.kind !== 'mapping') return refuse(reading, row, node, path);
      return readFree(reading, node, path);
  }
}

function readInteger(reading: Reading, row: Row & { type: 'integer' }, node: YamlNode, path: string): FieldValue {
  const value = asInteger(node);
  if (value !== undefined && value >= 0n && value <= BigInt(row.maximum)) return Number(value);
  const isQuoted = node.kind === 'scalar' && node.style !== 'plain' && /^\d+$/.test(node.text);
  return refuse(reading, row, node, path, isQuoted ? 'write the number without quotes' : undefined);
}

/** The spelling, or the spelling in lower case, as upstream looks them up. */
function readWord(reading: Reading, row: Row & { type: 'word' }, node: YamlNode, path: string): FieldValue {
  if (node.kind !== 'scalar') return refuse(reading, row, node, path);
  const word = row.words.find((one) => one === node.text) ?? row.words.find((one) => one === node.text.toLowerCase());
  if (word !== undefined) return word;
  const near = nearName(node.text, row.words) ?? row.words.find((one) => one === `.${node.text}`);
  return refuse(reading, row, node, path, near === undefined ? undefined : `did you mean ${near}?`);
}

/** Upstream drops null items. */
function readItems(reading: Reading, row: ItemRow, items: readonly YamlNode[], path: string): readonly FieldValue[] {
  return items.flatMap((item, index) => (isNull(item) ? [] : [readField(reading, row, item, `${path}[${index}]`)]));
}

function readGroup(reading: Reading, rows: Rows, node: MappingNode, path: string): Fields {
  const values = new Map<string, FieldValue>();
  for (const entry of node.entries) {
    const name = entry.key.text;
    if (Object.hasOwn(rows, name)) values.set(name, readField(reading, rows[name]!, entry.value, below(path, name)));
    else noteUnknown(reading, rows, entry, path);
  }
  return mapRows(rows, (row, key) => (values.has(key) ? values.get(key) : zeroOf(row)));
}

/** At the top all keys are names: numbers and booleans by their text, and a null key is no key. */
function readFree(reading: Reading, node: MappingNode, path: string): YamlMapping {
  const named = node.entries.filter(({ key }) => !isNull(key));
  return Object.fromEntries(
    named.map(({ key, value }) => {
      const name = asText(key) ?? (refuse(reading, { type: 'text' }, key, path, textHint(key)) as string);
      const note = (at: YamlNode, message: string): void => fail(reading, at, below(path, name), message);
      return [name, nodeValue(value, note)];
    }),
  );
}

function noteUnknown(reading: Reading, rows: Rows, { key }: MappingEntry, path: string): void {
  if (reading.unknownFields === 'ignore') return;
  const severity = reading.unknownFields === 'refuse' ? 'error' : 'warning';
  const place = { severity, position: key.position, length: key.length } as const;
  const retired = RETIRED_KEYS.find((one) => one.path === below(path, key.text));
  if (retired !== undefined) {
    reading.retired.push({ ...place, path: retired.path, message: retired.message, hint: retired.hint });
    return;
  }
  const names = Object.keys(rows);
  const elsewhere = pathsTo(key.text, PROFILE as Rows, '');
  const meant = nearName(key.text, names) ?? (elsewhere.length === 1 ? elsewhere[0] : undefined);
  reading.problems.push({
    ...place,
    ...(path === '' ? {} : { path }),
    message: `unknown field ${quoted(key.text)}: want ${names.join(', ')}`,
    ...(meant === undefined ? {} : { hint: `did you mean ${meant}?` }),
  });
}

/** Where the schema has a key of that name, so that a field in the wrong place can be told its right one. */
function pathsTo(name: string, rows: Rows, path: string): string[] {
  return Object.entries(rows).flatMap(([key, row]) => [
    ...(key === name ? [below(path, key)] : []),
    ...('rows' in row ? pathsTo(name, row.rows, below(path, key)) : []),
  ]);
}

function refuse(reading: Reading, row: Row, node: YamlNode, path: string, hint?: string): FieldValue {
  fail(reading, node, path, `${describe(node)}: want ${wishOf(row)}`, hint);
  return zeroOf(row);
}

function fail(reading: Reading, node: YamlNode, path: string, message: string, hint?: string): void {
  reading.problems.push({
    severity: 'error',
    position: node.position,
    length: node.length,
    ...(path === '' ? {} : { path }),
    message,
    ...(hint === undefined ? {} : { hint }),
  });
}

function describe(node: YamlNode): string {
  if (node.kind === 'sequence') return 'a list';
  if (node.kind === 'mapping') return 'a mapping';
  return node.style === 'plain' && /^[\w.+:/-]{1,60}$/.test(node.text) ? node.text : quoted(node.text);
}

/** Upstream takes any unquoted scalar for text but a date. */
function textHint(node: YamlNode): string | undefined {
  const isDate = node.kind === 'scalar' && resolveScalar(node).type === 'timestamp';
  return isDate ? 'put the date in quotes' : undefined;
}
