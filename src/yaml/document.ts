/**
 * YAML text to a tree of nodes with positions. What is accepted follows the reader inside Talos (Go yaml v4): duplicate keys
 * are errors, aliases and merge keys are expanded, scalars stay text until a field with a type asks (`scalar.ts`).
 * Everything is bounded: input size, nesting, and nodes after alias expansion, which upstream leaves open (spec machine-config 1).
 */
import {
  type Alias,
  Composer,
  type CST,
  isAlias,
  isMap,
  isScalar,
  Lexer,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { invalid } from '../errors.ts';
import { type Position, type Problem, problemsError, quoted, type SourceText } from './diagnostic.ts';

interface NodePlace {
  readonly position: Position;
  /** Columns the node takes on the line of `position`. */
  readonly length: number;
  /** `!!int`, `!local`; absent when the text has none. */
  readonly tag?: string;
}

export type ScalarStyle = 'plain' | 'single' | 'double' | 'literal' | 'folded';

export interface ScalarNode extends NodePlace {
  readonly kind: 'scalar';
  /** Unquoted, unescaped, unfolded; `''` with style `plain` where nothing is written. */
  readonly text: string;
  readonly style: ScalarStyle;
}

export interface SequenceNode extends NodePlace {
  readonly kind: 'sequence';
  readonly items: readonly YamlNode[];
}

export interface MappingEntry {
  readonly key: ScalarNode;
  readonly value: YamlNode;
}

export interface MappingNode extends NodePlace {
  readonly kind: 'mapping';
  /** In the order of the text, keys unique; what merge keys (`<<`) bring comes last. */
  readonly entries: readonly MappingEntry[];
}

export type YamlNode = ScalarNode | SequenceNode | MappingNode;

export interface YamlLimits {
  /** UTF-16 units of the text. */
  readonly maxSize?: number;
  /** Collections within collections. */
  readonly maxDepth?: number;
  /** Nodes after aliases are expanded. */
  readonly maxNodes?: number;
}

export interface YamlOptions extends YamlLimits {
  /** What errors call the text. */
  readonly file?: string;
  /** Merge keys (`<<`) are errors: what the reader is read for expands them and then refuses the key. */
  readonly refusesMergeKeys?: boolean;
}

export interface YamlDocuments {
  readonly source: SourceText;
  readonly documents: readonly YamlNode[];
  /** Errors only. With any but repeated keys, `documents` is empty: what could be read would not be what is written. */
  readonly problems: readonly Problem[];
}

export interface FirstDocument {
  readonly source: SourceText;
  /** Absent when the text has no document at all, or problems other than repeated keys. */
  readonly document?: YamlNode;
  readonly problems: readonly Problem[];
  /** Where something follows that belongs to a later document, which was not read. */
  readonly next?: Position;
}

const DEFAULT_LIMITS = { maxSize: 1024 * 1024, maxDepth: 500, maxNodes: 100_000 } as const;

/** Lexical tokens per node: dense JSON has about four. What a text of nothing but commas costs hangs on this. */
const LEXEMES_PER_NODE = 5;

/** UTF-16 units; more than a line of a message. */
const SHOWN_OF_TOO_LONG = 200;

/** Problems kept of one text; nobody reads on after so many. */
const MAX_PROBLEMS = 1000;

const STYLES: Readonly<Record<string, ScalarStyle>> = {
  PLAIN: 'plain',
  QUOTE_SINGLE: 'single',
  QUOTE_DOUBLE: 'double',
  BLOCK_LITERAL: 'literal',
  BLOCK_FOLDED: 'folded',
};

const STANDARD_TAG = 'tag:yaml.org,2002:';

/** All documents of a stream. Throws one `invalid-input` error with every problem found. */
export function parseYaml(text: string, options: YamlOptions = {}): readonly YamlNode[] {
  const { source, documents, problems } = readDocuments(text, options);
  if (problems.length > 0) throw problemsError(source, problems);
  return documents;
}

/** As `parseYaml`, but problems are values. */
export function readDocuments(text: string, options: YamlOptions = {}): YamlDocuments {
  const reading = startReading(text, options);
  if (reading.problems.length > 0) return { ...reading, documents: [] };
  const documents = readStream(reading, false);
  return { source: reading.source, documents, problems: reading.problems };
}

/**
 * The first document of a stream; later ones are not read at all, so they may be broken (what Go's `Unmarshal` does).
 */
export function readFirstDocument(text: string, options: YamlOptions = {}): FirstDocument {
  const reading = startReading(text, options);
  if (reading.problems.length > 0) return { source: reading.source, problems: reading.problems };
  const [document] = readStream(reading, true);
  return {
    source: reading.source,
    ...(document === undefined ? {} : { document }),
    problems: reading.problems,
    ...(reading.next === undefined ? {} : { next: reading.next }),
  };
}

/**
 * Bytes to text as the YAML reader of Talos takes them: UTF-8 with or without a byte order mark, UTF-16 with one.
 * Throws `invalid-input` on anything that is not well-formed.
 */
export function decodeYamlText(bytes: Uint8Array, file = 'yaml'): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    const what = bytes[0] === 0x1f && bytes[1] === 0x8b ? 'gzip data' : `bytes that are not ${encoding.toUpperCase()}`;
    throw invalid(`${file}: ${what}: want YAML as UTF-8 text`);
  }
}

/** The entry's value, or `undefined`. */
export function entryValue(mapping: MappingNode, key: string): YamlNode | undefined {
  return mapping.entries.find((entry) => entry.key.text === key)?.value;
}

interface Reading {
  readonly source: SourceText;
  readonly text: string;
  readonly limits: Required<YamlLimits>;
  readonly refusesMergeKeys: boolean;
  readonly problems: Problem[];
  readonly positionOf: (offset: number) => Position;
  /** Anchors reach across the documents of a stream. `undefined` as value: still being read, so an alias would contain itself. */
  readonly anchors: Map<string, { readonly node: YamlNode; readonly size: number } | undefined>;
  /** Nodes so far, aliases counted with all they stand for. */
  size: number;
  /** Something could not be read, so that the tree is not what is written. */
  isDamaged: boolean;
  /** The first bracket or quote that nothing closes. */
  unclosed?: { readonly offset: number; readonly mark: string; readonly at: number };
  next?: Position;
}

class LimitExceeded {
  readonly offset: number;
  readonly message: string;
  constructor(offset: number, message: string) {
    this.offset = offset;
    this.message = message;
  }
}

function startReading(given: string, options: YamlOptions): Reading {
  const { file = 'yaml', maxSize, maxDepth, maxNodes, refusesMergeKeys = false } = options;
  const limits = {
    maxSize: maxSize ?? DEFAULT_LIMITS.maxSize,
    maxDepth: maxDepth ?? DEFAULT_LIMITS.maxDepth,
    maxNodes: maxNodes ?? DEFAULT_LIMITS.maxNodes,
  };
  // Of what is too long only the beginning is kept, for the message.
  const isTooLong = given.length > limits.maxSize;
  const text = normalized(isTooLong ? given.slice(0, SHOWN_OF_TOO_LONG) : given);
  const reading: Reading = {
    source: { file, text },
    text,
    limits,
    refusesMergeKeys,
    problems: [],
    positionOf: positions(text),
    anchors: new Map(),
    size: 0,
    isDamaged: false,
  };
  if (isTooLong) {
    problem(reading, 0, 1, `${given.length} characters: want at most ${limits.maxSize}`);
    return reading;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Cs}/u.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    const hint = text.startsWith('\u001f') ? 'this looks like compressed data: decompress it first' : undefined;
    problem(reading, control.index, 1, `character U+${code}: not allowed in YAML`, hint);
  }
  return reading;
}

/** Offsets stay true: only a byte order mark goes, all else is replaced one for one. */
function normalized(given: string): string {
  // YAML 1.1 line breaks: a lone CR, NEL, LS, PS.
  const text = given.replace(/^\ufeff/, '').replaceAll(/\r(?!\n)|[\u0085\u2028\u2029]/g, '\n');
  return withoutEarlyEnds(text);
}

/** Document ends before the first document end nothing; the parser would count them as an empty document. */
function withoutEarlyEnds(text: string): string {
  // Line by line: one expression for all of them needs a stack as deep as they are many.
  const line = /(\.\.\.)?[ \t]*(?:#.*)?\r?\n/y;
  const parts: string[] = [];
  let rest = 0;
  for (let found = line.exec(text); found !== null; found = line.exec(text)) {
    if (found[1] === undefined) continue;
    parts.push(text.slice(rest, found.index), '   ');
    rest = found.index + 3;
  }
  return parts.join('') + text.slice(rest);
}

function problem(reading: Reading, offset: number, length: number, message: string, hint?: string): void {
  reading.isDamaged = true;
  if (reading.problems.length >= MAX_PROBLEMS) return;
  const position = reading.positionOf(offset);
  reading.problems.push({ severity: 'error', position, length, message, ...(hint === undefined ? {} : { hint }) });
}

function readStream(reading: Reading, firstOnly: boolean): YamlNode[] {
  const composer = new Composer({
    schema: 'failsafe',
    uniqueKeys: false,
    logLevel: 'silent',
    prettyErrors: false,
    keepSourceTokens: true,
  });
  const documents: YamlNode[] = [];
  try {
    const composed = [];
    for (const token of boundedTokens(reading, firstOnly)) composed.push(...composer.next(token));
    composed.push(...composer.end());
    for (const document of composed) {
      const error = document.errors.find(({ code }) => code !== 'BAD_DQ_ESCAPE');
      if (error !== undefined) {
        // What the parser says after its first complaint is mostly about its own recovery.
        if (reading.problems.length === 0) syntaxProblem(reading, error.code, error.message, error.pos);
        return [];
      }
      if (document.contents === null) continue;
      documents.push(convert(reading, document.contents as Node));
    }
  } catch (error) {
    if (!(error instanceof LimitExceeded)) throw error;
    problem(reading, error.offset, 1, error.message);
  }
  return reading.isDamaged ? [] : documents;
}

/** Tokens of the stream, or of its first document, checked for nesting before anything recursive sees them. */
function* boundedTokens(reading: Reading, firstOnly: boolean): Generator<CST.Token, void> {
  const parser = new Parser();
  let offset = 0;
  let documents = 0;
  let lexemes = 0;
  let before = '\n';
  for (const lexeme of new Lexer().lex(reading.text)) {
    noteUnclosed(reading, lexeme, offset, parser.stack);
    checkTab(reading, before, lexeme, offset, parser.stack);
    if (!MARKERS.has(lexeme)) before = lexeme;
    if (++lexemes > reading.limits.maxNodes * LEXEMES_PER_NODE) {
      throw new LimitExceeded(offset, `more than ${lexemes - 1} words, marks and line ends`);
    }
    for (const token of parser.next(lexeme)) {
      if (token.type === 'directive') checkDirective(reading, token.offset, token.source);
      if (token.type === 'document') {
        documents++;
      } else if (firstOnly && documents > 0 && (token.type === 'doc-end' || token.type === 'directive')) {
        noteNextDocument(reading, offset + lexeme.length);
        return;
      }
      if (documents < 2 || !firstOnly) yield token;
    }
    if (firstOnly && documents > 0 && parser.stack.at(-1)?.type === 'document') {
      noteNextDocument(reading, offset);
      return;
    }
    if (parser.stack.length > reading.limits.maxDepth + 1) {
      throw new LimitExceeded(offset, `more than ${reading.limits.maxDepth} levels of nesting`);
    }
    if (!MARKERS.has(lexeme)) offset += lexeme.length;
  }
  yield* parser.end();
}

/** Lexemes that stand for no text: document start, flow collection cut short, scalar follows. */
const MARKERS: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f']);

/** The parser reports such errors where it gave up, which is often the end of the text; a reader wants the beginning. */
function noteUnclosed(reading: Reading, lexeme: string, offset: number, stack: readonly CST.Token[]): void {
  if (reading.unclosed !== undefined) return;
  if (lexeme === '\u0018') {
    const open = stack.findLast((token) => token.type === 'flow-collection');
    if (open !== undefined) reading.unclosed = { offset: open.start.offset, mark: open.start.source, at: offset };
  } else if ((lexeme[0] === '"' || lexeme[0] === "'") && !CLOSED_QUOTE.test(lexeme)) {
    reading.unclosed = { offset, mark: lexeme[0], at: offset + lexeme.length };
    unclosedProblem(reading, reading.unclosed);
  }
}

const CLOSED_QUOTE = /^'[^']*(?:''[^']*)*'$|^"[^"\\]*(?:\\[\s\S][^"\\]*)*"$/;

/** Go yaml takes no tab where a block could begin: at the start of a line, even of a blank one, and after `-`. */
function checkTab(reading: Reading, before: string, lexeme: string, offset: number, stack: readonly CST.Token[]): void {
  const isAtStart = before.endsWith('\n') && lexeme.startsWith('\t');
  const isAfterIndicator = (before === '-' || before === '?') && lexeme.includes('\t');
  if (!(isAtStart || isAfterIndicator) || !/^[ \t]+$/.test(lexeme)) return;
  if (stack.some((token) => token.type === 'flow-collection')) return;
  problem(reading, offset + lexeme.indexOf('\t'), 1, isAtStart ? TAB_AT_START : `a tab after ${before}: want a space`);
}

const TAB_AT_START = 'a tab at the start of a line: want spaces, or nothing on a blank line';

/** `next` is where real content begins after the first document; blank lines, comments and markers are nothing. */
function noteNextDocument(reading: Reading, from: number): void {
  const rest = /^(?:---|\.\.\.)?[ \t]*(?:#.*)?$/;
  let offset = from;
  for (const line of reading.text.slice(from).split('\n')) {
    if (!rest.test(line.trimEnd())) {
      reading.next = reading.positionOf(offset);
      return;
    }
    offset += line.length + 1;
  }
}

function checkDirective(reading: Reading, offset: number, source: string): void {
  const [name, value] = source.trim().split(/\s+/);
  if (name === '%TAG' || (name === '%YAML' && value === '1.1')) return;
  const wish = name === '%YAML' ? 'want %YAML 1.1 or no such line' : 'want %YAML or %TAG';
  problem(reading, offset, source.trimEnd().length, `${source.trim()}: ${wish}`);
}

const MULTILINE_KEY = 'a key over several lines: want `key:` on one line';

/** Words for the parser's findings where its own would not help somebody who knows YAML from configuration files. */
const SYNTAX_WORDS: Readonly<Record<string, readonly [message: string, hint?: string]>> = {
  TAB_AS_INDENT: [TAB_AT_START],
  MULTIPLE_DOCS: ['a second document without a --- line before it'],
  BAD_COLLECTION_TYPE: ['a tag that does not fit this collection'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a mapping inside a value on the same line',
    'put the value on its own lines, or quote it when it contains ": "',
  ],
  MULTILINE_IMPLICIT_KEY: [MULTILINE_KEY, 'is a ":" missing on this line?'],
};

/** The parser's names of tokens, as a reader sees them. */
const TOKEN_WORDS: Readonly<Record<string, string>> = {
  'flow-map-start': '"{"',
  'flow-map-end': '"}"',
  'flow-seq-start': '"["',
  'flow-seq-end': '"]"',
  'map-value-ind': '":"',
  'seq-item-ind': '"-"',
  'explicit-key-ind': '"?"',
  'double-quoted-scalar': 'text in quotes',
  'single-quoted-scalar': 'text in quotes',
  'block-scalar': 'text block',
  'block-map': 'mapping',
  'block-seq': 'list',
  scalar: 'text',
};

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']', '"': '"', "'": "'" };

function syntaxProblem(reading: Reading, code: string, message: string, pos: readonly [number, number]): void {
  if (reading.unclosed !== undefined && /must.* end with|^Missing closing/.test(message)) {
    unclosedProblem(reading, reading.unclosed);
    return;
  }
  const plain = message
    .replaceAll(/[a-z]+(?:-[a-z]+)+|\bscalar\b/g, (word) => TOKEN_WORDS[word] ?? word)
    .replace(/ token(?: in YAML (?:stream|document))?: ".*$/s, '')
    .replace(/ at node end$/, ' after the end of a value');
  const [words = `YAML: ${plain.charAt(0).toLowerCase()}${plain.slice(1)}`, hint] = SYNTAX_WORDS[code] ?? [];
  problem(reading, pos[0], Math.max(1, pos[1] - pos[0]), words, hint);
}

function unclosedProblem(reading: Reading, unclosed: NonNullable<Reading['unclosed']>): void {
  const { mark, offset, at } = unclosed;
  const closing = CLOSING[mark];
  if (reading.text.slice(at).trim() === '') {
    problem(reading, offset, 1, `${mark} is never closed: want ${closing}`);
    return;
  }
  const open = reading.positionOf(offset).line;
  const hint = `indent this line deeper than the one with the ${mark}, or close that with ${closing}`;
  problem(reading, at, 1, `the ${mark} of line ${open} is still open here`, hint);
}

function convert(reading: Reading, node: Node): YamlNode {
  if (isAlias(node)) return resolveAlias(reading, node);
  const start = node.range?.[0] ?? 0;
  if (++reading.size > reading.limits.maxNodes) {
    throw new LimitExceeded(start, `more than ${reading.limits.maxNodes} values`);
  }
  const before = reading.size - 1;
  const anchor = 'anchor' in node ? (node.anchor as string | undefined) : undefined;
  if (anchor !== undefined) reading.anchors.set(anchor, undefined);
  const converted = isScalar(node)
    ? convertScalar(reading, node)
    : isMap(node)
      ? convertMapping(reading, node as YAMLMap<Node, Node | null>)
      : convertSequence(reading, node as Node & { items: Node[] });
  if (anchor !== undefined) reading.anchors.set(anchor, { node: converted, size: reading.size - before });
  return converted;
}

function resolveAlias(reading: Reading, alias: Alias): YamlNode {
  const start = alias.range?.[0] ?? 0;
  const target = reading.anchors.get(alias.source);
  if (target === undefined) {
    const why = reading.anchors.has(alias.source) ? 'contains itself' : 'no such anchor before it';
    problem(reading, start, alias.source.length + 1, `*${alias.source}: ${why}`);
    return { kind: 'scalar', text: '', style: 'plain', position: reading.positionOf(start), length: 1 };
  }
  reading.size += target.size;
  if (reading.size > reading.limits.maxNodes) {
    throw new LimitExceeded(
      start,
      `*${alias.source}: more than ${reading.limits.maxNodes} values once aliases are expanded`,
    );
  }
  return target.node;
}

function convertScalar(reading: Reading, node: Scalar): ScalarNode {
  const [start = 0, end = start] = node.range ?? [];
  const style = STYLES[node.type ?? 'PLAIN'] ?? 'plain';
  return { kind: 'scalar', text: scalarText(reading, node, style), style, ...place(reading, node, start, end) };
}

function scalarText(reading: Reading, node: Scalar, style: ScalarStyle): string {
  // Not `value`: for a standard tag the parser has already made bytes or dates of it.
  const text = node.source ?? '';
  const source = node.srcToken === undefined ? '' : 'source' in node.srcToken ? node.srcToken.source : '';
  if (style === 'double' && source.includes('\\')) return unescaped(reading, source, node.range?.[0] ?? 0);
  const isBlock = style === 'literal' || style === 'folded';
  // A block that ends with the text has the line end that is written, and only that.
  return isBlock && (node.range?.[1] ?? 0) >= reading.text.length && !source.endsWith('\n') && text.endsWith('\n')
    ? text.slice(0, -1)
    : text;
}

/** What Go yaml takes: `\'` too, but not JSON's `\/`, and no halves of surrogate pairs. */
const ESCAPES: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\u0007',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\u001b',
  ' ': ' ',
  '"': '"',
  "'": "'",
  '\\': '\\',
  N: '\u0085',
  _: '\u00a0',
  L: '\u2028',
  P: '\u2029',
};

/** The text of a double-quoted scalar; a bad escape is a problem at its place. */
function unescaped(reading: Reading, source: string, offset: number): string {
  const inner = source.slice(1, -1);
  // Blanks that no line end follows are pieces of their own: what came before a line end would be looked for from each of them.
  const piece =
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\r?\n([ \t\r\n]*)|([\s\S]))|[ \t]*(\r?\n)([ \t\r\n]*)|[ \t]+/g;
  return inner.replaceAll(piece, (found, hex2, hex4, hex8, blank, letter, newline, blanks, index) => {
    if (newline !== undefined) return '\n'.repeat(newlines(blanks)) || ' ';
    if (!found.startsWith('\\')) return found;
    if (blank !== undefined) return '\n'.repeat(newlines(blank));
    const digits: string | undefined = hex2 ?? hex4 ?? hex8;
    const code = digits === undefined ? undefined : Number.parseInt(digits, 16);
    const isCharacter = code !== undefined && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
    const character = isCharacter ? String.fromCodePoint(code) : letter === undefined ? undefined : ESCAPES[letter];
    if (character !== undefined) return character;
    const hint =
      letter === '/'
        ? 'Talos reads this with a YAML reader, where / is not escaped: write / alone'
        : code === undefined
          ? 'a backslash itself is written \\\\, or put the text in single quotes'
          : 'write the character itself, or \\U with eight digits';
    problem(reading, offset + 1 + index, found.length, `${found} in double quotes: no such character or escape`, hint);
    return found;
  });
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}

function convertSequence(reading: Reading, node: Node & { items: Node[] }): SequenceNode {
  const [start = 0] = node.range ?? [];
  const items = node.items.map((item) => convert(reading, item));
  return { kind: 'sequence', items, ...place(reading, node, start, start + 1) };
}

function convertMapping(reading: Reading, node: YAMLMap<Node, Node | null>): MappingNode {
  const [start = 0] = node.range ?? [];
  const entries = new Map<string, MappingEntry>();
  const merges: YamlNode[] = [];
  for (const pair of node.items) {
    const key = convert(reading, pair.key);
    const value =
      pair.value === null || pair.value === undefined
        ? emptyScalar(reading, pair.key.range?.[1] ?? start)
        : convert(reading, pair.value);
    if (key.kind !== 'scalar') {
      problemAt(reading, key, 'a list or mapping as key: want a name');
      continue;
    }
    if (!isExplicit(pair)) checkImplicitKey(reading, pair.key, key);
    const earlier = entries.get(key.text);
    if (earlier !== undefined) {
      problemAt(reading, key, `key ${quoted(key.text)}: already set on line ${earlier.key.position.line}`);
      continue;
    }
    entries.set(key.text, { key, value });
    if (!isMergeKey(key)) continue;
    if (reading.refusesMergeKeys) problemAt(reading, key, '<<: Talos refuses merge keys');
    else merges.push(value);
  }
  for (const value of merges) {
    entries.delete('<<');
    mergeInto(reading, entries, value);
  }
  return { kind: 'mapping', entries: [...entries.values()], ...place(reading, node, start, start + 1) };
}

function isExplicit(pair: Pair<Node, Node | null>): boolean {
  return (pair.srcToken as { explicitKey?: boolean } | undefined)?.explicitKey === true;
}

function checkImplicitKey(reading: Reading, node: Node, key: ScalarNode): void {
  const [start = 0, end = start] = node.range ?? [];
  if (key.style === 'plain' && key.text === '' && !isAlias(node))
    problemAt(reading, key, '":" without a name before it');
  else if (reading.text.slice(start, end).includes('\n')) problemAt(reading, key, MULTILINE_KEY);
}

/** `<<` by itself; quoted it is a name like any other. */
function isMergeKey(key: ScalarNode): boolean {
  return key.text === '<<' && (key.tag === undefined ? key.style === 'plain' : key.tag === '!!merge');
}

/** What is there stays; of several mappings the first to have a key gives it. */
function mergeInto(reading: Reading, entries: Map<string, MappingEntry>, value: YamlNode): void {
  const mappings = value.kind === 'sequence' ? value.items : [value];
  for (const mapping of mappings) {
    if (mapping.kind !== 'mapping') {
      problemAt(reading, mapping, '<<: want a mapping or a list of mappings');
      continue;
    }
    for (const entry of mapping.entries) {
      if (!entries.has(entry.key.text)) entries.set(entry.key.text, entry);
    }
  }
}

function problemAt(reading: Reading, node: YamlNode, message: string): void {
  if (reading.problems.length >= MAX_PROBLEMS) return;
  reading.problems.push({ severity: 'error', position: node.position, length: node.length, message });
}

function emptyScalar(reading: Reading, offset: number): ScalarNode {
  return { kind: 'scalar', text: '', style: 'plain', position: reading.positionOf(offset), length: 1 };
}

function place(reading: Reading, node: Node, start: number, end: number): NodePlace {
  const [firstLine = ''] = reading.text.slice(start, end).split('\n', 1);
  const length = Math.max(1, [...firstLine.trimEnd()].length);
  const tag = shortTag(node.tag);
  return { position: reading.positionOf(start), length, ...(tag === undefined ? {} : { tag }) };
}

function shortTag(tag: string | undefined): string | undefined {
  if (tag === undefined) return undefined;
  if (tag === '!') return '!!str';
  return tag.startsWith(STANDARD_TAG) ? `!!${tag.slice(STANDARD_TAG.length)}` : tag;
}

/** Offset to line and column; columns in code points. Logarithmic, as one line may be the whole text. */
function positions(text: string): (offset: number) => Position {
  const starts = [0, ...offsetsOf(text, /\n/g).map((offset) => offset + 1)];
  const lowSurrogates = offsetsOf(text, /[\udc00-\udfff]/g);
  return (offset) => {
    const line = countBelow(starts, offset + 1);
    const start = starts[line - 1]!;
    const doubled = countBelow(lowSurrogates, offset) - countBelow(lowSurrogates, start);
    return { line, column: offset - start - doubled + 1 };
  };
}

function offsetsOf(text: string, pattern: RegExp): number[] {
  return Array.from(text.matchAll(pattern), (match) => match.index);
}

/** How many of the ascending `numbers` are less than `limit`. */
function countBelow(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
