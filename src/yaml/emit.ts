/**
 * YAML text as the encoders of upstream (go-yaml) write it, byte for byte: schematic ids are digests of such text, and profile
 * dumps, manifests and overlay exchanges are compared with it. Rules: specification profiles-and-inputs 2.11,
 * factory-and-signatures A3-A5 and A8; measured against the library's releases.
 */
import { inNaturalKeyOrder } from './key-order.ts';
import { resolveScalar } from './scalar.ts';
import {
  entriesOf,
  formatFloat,
  isMapping,
  TypedScalar,
  type YamlEntry,
  type YamlScalar,
  type YamlValue,
} from './value.ts';

/**
 * Releases of the encoder whose output differs. Upstream 1.14 and factory 1.5 have `v4-rc6`; 1.13 and factories from 0.9 to 1.4
 * the earlier candidates; factories before that `v3`; `v4` is the final release.
 */
export type YamlEra = 'v3' | 'v4-rc3' | 'v4-rc4' | 'v4-rc6' | 'v4';

export interface EmitOptions {
  /** Columns per level, 2 to 9; 4 is what upstream's plain "marshal" uses. */
  readonly indent?: number;
  /** Break long plain and quoted scalars at blanks beyond column 80. */
  readonly fold?: boolean;
  readonly era?: YamlEra;
  /** Write all mappings in natural key order instead of the order given. */
  readonly sortKeys?: boolean;
}

interface EraRules {
  /** How words that YAML 1.1 reads as booleans or base-60 numbers are quoted. */
  readonly oldWordQuote: Quote;
  /** Whether `<<` is quoted too. */
  readonly quotesMergeKey: boolean;
  /** Whether text of blanks and line feeds alone is a literal block. */
  readonly blankTextIsLiteral: boolean;
  /** Whether a literal block is kept where a blank stands before a line feed or at the end. */
  readonly literalKeepsBlanks: boolean;
  /** When a literal block says its indentation, and whether it says the true one. */
  readonly indentHint: 'blank' | 'blank or break' | 'exact';
  /** Whether the line of `|` is ended before the content is looked at; without that a leading line feed is lost. */
  readonly endsHeaderLine: boolean;
}

const RC3: EraRules = {
  oldWordQuote: 'double',
  quotesMergeKey: true,
  blankTextIsLiteral: false,
  literalKeepsBlanks: false,
  indentHint: 'blank or break',
  endsHeaderLine: true,
};

const ERAS: Readonly<Record<YamlEra, EraRules>> = {
  v3: { ...RC3, quotesMergeKey: false, blankTextIsLiteral: true, endsHeaderLine: false },
  'v4-rc3': RC3,
  'v4-rc4': { ...RC3, indentHint: 'blank' },
  'v4-rc6': { ...RC3, indentHint: 'blank', oldWordQuote: 'single' },
  v4: { ...RC3, indentHint: 'exact', literalKeepsBlanks: true },
};

type Quote = 'single' | 'double';
type Style = 'plain' | Quote | 'literal';

const DEFAULT_INDENT = 4;
const FOLD_COLUMN = 80;
/** Bytes up to which a key stands on one line with its value. */
const SIMPLE_KEY_LIMIT = 128;

/** One document: UTF-8 text without `---`, block style, with a final line feed. Unpaired surrogates become U+FFFD. */
export function emitYaml(value: YamlValue, options: EmitOptions = {}): string {
  const writer = new Writer(options);
  writeNode(writer, options.sortKeys ? inNaturalKeyOrder(value) : value, { kind: 'root', indent: 0 });
  writer.startLine(0);
  return writer.text();
}

/** Where a node stands: alone, after `- `, or as a value (or explicit key) of a mapping; `indent` is the column of the parent. */
interface Place {
  readonly kind: 'root' | 'item' | 'value';
  readonly indent: number;
}

function writeNode(writer: Writer, value: YamlValue, place: Place): void {
  if (Array.isArray(value)) {
    if (value.length === 0) writer.indicator('[]', true, false);
    else writeSequence(writer, value, blockIndent(writer, place));
  } else if (isMapping(value)) {
    const entries = entriesOf(value);
    if (entries.length === 0) writer.indicator('{}', true, false);
    else writeMapping(writer, entries, blockIndent(writer, place));
  } else {
    writeScalar(writer, value as YamlScalar, place);
  }
}

function writeSequence(writer: Writer, items: readonly YamlValue[], indent: number): void {
  for (const item of items) {
    writer.startLine(indent);
    writer.indicator('-', true, true);
    writeNode(writer, item, { kind: 'item', indent });
  }
}

function writeMapping(writer: Writer, entries: readonly YamlEntry[], indent: number): void {
  for (const [key, value] of entries) {
    const place: Place = { kind: 'value', indent };
    writer.startLine(indent);
    if (isSimpleKey(key)) {
      writeScalar(writer, key, place, true);
      writer.indicator(':', false, false);
    } else {
      writer.indicator('?', true, true);
      writeScalar(writer, key, place);
      writer.startLine(indent);
      writer.indicator(':', true, true);
    }
    writeNode(writer, value, place);
  }
}

/** Content after a dash stands two columns further; everything else on the next multiple of the indentation. */
function blockIndent(writer: Writer, place: Place): number {
  if (place.kind === 'root') return 0;
  return scalarIndent(writer, place);
}

function scalarIndent(writer: Writer, place: Place): number {
  if (place.kind === 'root') return writer.step;
  if (place.kind === 'item') return place.indent + 2;
  return writer.step * (Math.floor(place.indent / writer.step) + 1);
}

function writeScalar(writer: Writer, value: YamlScalar, place: Place, isKey = false): void {
  const indent = scalarIndent(writer, place);
  if (typeof value !== 'string') {
    writer.word(plainText(value));
    return;
  }
  const text = value.toWellFormed();
  const style = styleOf(text, writer.rules, isKey);
  if (style === 'plain') writePlain(writer, text, indent, !isKey);
  else if (style === 'single') writeSingleQuoted(writer, text, indent, !isKey);
  else if (style === 'double') writeDoubleQuoted(writer, text, indent, !isKey);
  else writeLiteral(writer, text, indent, place.kind === 'root' ? 0 : place.indent);
}

function plainText(value: Exclude<YamlScalar, string>): string {
  if (value instanceof TypedScalar) return value.text;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value).toString() : formatFloat(value);
  return String(value);
}

function writePlain(writer: Writer, text: string, indent: number, mayFold: boolean): void {
  writer.separate();
  writeFolding(writer, text, indent, mayFold, (character) => writer.put(character));
  writer.endScalar();
}

function writeSingleQuoted(writer: Writer, text: string, indent: number, mayFold: boolean): void {
  writer.indicator("'", true, false);
  writeFolding(writer, text, indent, mayFold, (character) => {
    if (character === "'") writer.put("'");
    writer.put(character);
  });
  writer.indicator("'", false, false);
}

/** Plain and single-quoted content: a lone blank beyond the fold column becomes a line break, unless it is the first or last one. */
function writeFolding(
  writer: Writer,
  text: string,
  indent: number,
  mayFold: boolean,
  put: (character: string) => void,
): void {
  const characters = [...text];
  let afterBlank = false;
  let afterBreak = false;
  for (const [index, character] of characters.entries()) {
    if (character === ' ') {
      const lone = !afterBlank && characters[index + 1] !== ' ' && index > 0 && index < characters.length - 1;
      if (mayFold && lone && writer.isBeyondFold()) writer.startLine(indent);
      else writer.put(' ');
      afterBlank = true;
    } else if (isBreak(character)) {
      writer.lineBreak(character);
      afterBreak = true;
    } else {
      if (afterBreak) writer.startLine(indent);
      put(character);
      writer.inContent();
      afterBlank = false;
      afterBreak = false;
    }
  }
}

function writeDoubleQuoted(writer: Writer, text: string, indent: number, mayFold: boolean): void {
  const characters = [...text];
  // A leading byte order mark makes the encoder escape everything that follows too.
  const escapesAll = characters[0] === '\ufeff';
  let afterBlank = false;
  writer.indicator('"', true, false);
  for (const [index, character] of characters.entries()) {
    if (escapesAll || mustEscape(character)) {
      writer.put(escapeOf(character));
      afterBlank = false;
    } else if (character === ' ') {
      const inside = index > 0 && index < characters.length - 1;
      if (mayFold && !afterBlank && inside && writer.isBeyondFold()) {
        writer.startLine(indent);
        if (characters[index + 1] === ' ') writer.put('\\');
      } else {
        writer.put(' ');
      }
      afterBlank = true;
    } else {
      writer.put(character);
      afterBlank = false;
    }
  }
  writer.indicator('"', false, false);
}

function writeLiteral(writer: Writer, text: string, indent: number, parentIndent: number): void {
  const { rules } = writer;
  const hint = indentHint(text, rules, writer.step, indent - parentIndent);
  writer.indicator(`|${hint ?? ''}${chompHint(text)}`, true, false);
  if (rules.endsHeaderLine) writer.lineBreak('\n');
  writer.atBlank();
  let atLineStart = true;
  for (const character of text) {
    if (isBreak(character)) {
      writer.lineBreak(character);
      atLineStart = true;
    } else {
      if (atLineStart) writer.startLine(indent);
      writer.put(character);
      writer.inContent();
      atLineStart = false;
    }
  }
}

function indentHint(text: string, rules: EraRules, step: number, exact: number): number | undefined {
  switch (rules.indentHint) {
    case 'blank':
      return text.startsWith(' ') ? step : undefined;
    case 'blank or break':
      return text.startsWith(' ') || isBreak([...text.slice(0, 2)][0]!) ? step : undefined;
    case 'exact':
      return /^[\r\n\u0085\u2028\u2029]*[ \t]/.test(text) ? exact : undefined;
  }
}

/** `-` without a final line break, `+` with more than one (or nothing else). */
function chompHint(text: string): string {
  if (!isBreak(text.at(-1)!)) return '-';
  return text.length === 1 || isBreak(text.at(-2)!) ? '+' : '';
}

function isSimpleKey(key: YamlScalar): boolean {
  if (typeof key !== 'string') return true;
  return !/[\r\n\u0085\u2028\u2029]/.test(key) && new TextEncoder().encode(key).length <= SIMPLE_KEY_LIMIT;
}

const OLD_BOOLEANS = new Set('y Y yes Yes YES on On ON n N no No NO off Off OFF'.split(' '));
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;

function styleOf(text: string, rules: EraRules, isKey: boolean): Style {
  const allowed = allowedStyles(text, rules);
  const wanted = wantedStyle(text, rules);
  if (wanted === 'literal') return allowed.literal && !isKey ? 'literal' : 'double';
  if (wanted === 'double') return 'double';
  if (wanted === 'plain' && allowed.plain) return 'plain';
  return allowed.single ? 'single' : 'double';
}

function wantedStyle(text: string, rules: EraRules): Style {
  if (text.includes('\n')) return rules.blankTextIsLiteral || isWorthLiteral(text) ? 'literal' : 'double';
  if (OLD_BOOLEANS.has(text) || BASE_60.test(text)) return rules.oldWordQuote;
  if (text === '<<') return rules.quotesMergeKey ? rules.oldWordQuote : 'plain';
  return resolvesToString(text) ? 'plain' : 'double';
}

/** Upstream reads text that starts with a dot as Go does, which allows underscores between digits. */
const DOTTED_FLOAT = /^\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9](?:_?[0-9])*)?$/;

function resolvesToString(text: string): boolean {
  if (DOTTED_FLOAT.test(text) && Number.isFinite(Number(text.replaceAll('_', '')))) return false;
  const node = { kind: 'scalar', text, style: 'plain', position: { line: 1, column: 1 }, length: 0 } as const;
  return resolveScalar(node).type === 'string';
}

/** Something else than white space, as Unicode has it (U+FEFF is none). */
function isWorthLiteral(text: string): boolean {
  return /[^\p{White_Space}]/u.test(text);
}

interface AllowedStyles {
  readonly plain: boolean;
  readonly single: boolean;
  readonly literal: boolean;
}

const BREAKS = '\\r\\n\\u0085\\u2028\\u2029';
/** Where a plain scalar would be read as something else, in block context. */
const INDICATORS = new RegExp(
  `^(?:---|\\.\\.\\.|[#,[\\]{}&*!|>'"%@\`]|[-?:](?:[ \\t]|$))|:(?:[ \\t]|$)|[ \\t\\0${BREAKS}]#`,
  'u',
);
const EDGE = new RegExp(`^[ ${BREAKS}]|[ ${BREAKS}]$`, 'u');
const ANY_BREAK = new RegExp(`[${BREAKS}]`, 'u');
const BREAK_THEN_BLANK = new RegExp(`[${BREAKS}] `, 'u');
const BLANK_THEN_BREAK = new RegExp(` [${BREAKS}]`, 'u');
const UNPRINTABLE = /[^\t\n\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u;

function allowedStyles(text: string, rules: EraRules): AllowedStyles {
  const unprintable = UNPRINTABLE.test(text);
  const blankBeforeBreak = BLANK_THEN_BREAK.test(text);
  const single = !unprintable && !blankBeforeBreak && !BREAK_THEN_BLANK.test(text) && !text.includes('\t');
  return {
    plain: single && !EDGE.test(text) && !ANY_BREAK.test(text) && !INDICATORS.test(text),
    single,
    literal: !unprintable && (rules.literalKeepsBlanks || (!blankBeforeBreak && !text.endsWith(' '))),
  };
}

function isBreak(character: string): boolean {
  return /^[\r\n\u0085\u2028\u2029]$/.test(character);
}

function mustEscape(character: string): boolean {
  return (
    character === '"' || character === '\\' || character === '\t' || isBreak(character) || UNPRINTABLE.test(character)
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\u0085': '\\N',
  '\u00a0': '\\_',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

function escapeOf(character: string): string {
  const short = ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

/** The text so far and what decides about blanks and line breaks. Columns count characters. Local to this file. */
class Writer {
  readonly step: number;
  readonly rules: EraRules;
  readonly #fold: boolean;
  #parts: string[] = [];
  #column = 0;
  /** The last character was a blank that separates, so none is needed before a scalar. */
  #afterBlank = true;
  /** Only indentation and `-`, `?`, `:` stand on this line so far, so a collection may begin on it. */
  #onlyIndentation = true;

  constructor(options: EmitOptions) {
    this.step = options.indent ?? DEFAULT_INDENT;
    this.#fold = options.fold ?? false;
    this.rules = ERAS[options.era ?? 'v4-rc6'];
  }

  text(): string {
    return this.#parts.join('');
  }

  put(text: string): void {
    this.#parts.push(text);
    // Escapes are ASCII, everything else comes as one character.
    this.#column += text.codePointAt(0)! > 0xffff ? 1 : text.length;
  }

  lineBreak(character: string): void {
    this.#parts.push(character);
    this.#column = 0;
    this.#onlyIndentation = true;
  }

  /** Goes to column `indent`, on a new line unless this one holds nothing but indentation before it. */
  startLine(indent: number): void {
    if (!this.#onlyIndentation || this.#column > indent || (this.#column === indent && !this.#afterBlank)) {
      this.lineBreak('\n');
    }
    if (this.#column < indent) this.put(' '.repeat(indent - this.#column));
    this.#afterBlank = true;
  }

  indicator(text: string, needsBlank: boolean, isIndentation: boolean): void {
    if (needsBlank) this.separate();
    this.put(text);
    this.#afterBlank = false;
    this.#onlyIndentation &&= isIndentation;
  }

  /** A word without quotes, never folded. */
  word(text: string): void {
    this.separate();
    this.put(text);
    this.endScalar();
  }

  separate(): void {
    if (!this.#afterBlank) this.put(' ');
  }

  endScalar(): void {
    this.#afterBlank = false;
    this.#onlyIndentation = false;
  }

  inContent(): void {
    this.#onlyIndentation = false;
  }

  atBlank(): void {
    this.#afterBlank = true;
  }

  isBeyondFold(): boolean {
    return this.#fold && this.#column > FOLD_COLUMN;
  }
}
