/**
 * A YAML tree against a table of fields: typed values with their places, and every mistake, not just the first.
 * What is an error here is an error for the decoder on the node, or a key it would silently ignore.
 */
import { nearName, type Problem, quoted } from '../yaml/diagnostic.ts';
import type { ScalarNode, YamlNode } from '../yaml/document.ts';
import { asBoolean, asInteger, asText, isNull, resolveScalar } from '../yaml/scalar.ts';
import { nodeValue } from '../yaml/value.ts';
import { formatAddress, formatPrefix, isMistake, leadingOnes, parseAddress, parsePrefix } from './address.ts';
import { formatDuration, parseDuration } from './duration.ts';
import type {
  EnumType,
  Field,
  FieldType,
  FlagsType,
  IntegerType,
  ListType,
  MapType,
  ObjectType,
  Reading,
} from './field-types.ts';
import { lenientHardwareAddress, parseHardwareAddress } from './hardware-address.ts';

/** A value and where it stands. `value` is absent when the field is set but could not be read: then a problem says so. */
export interface Located<Value = unknown> {
  readonly path: string;
  readonly node: YamlNode;
  readonly value?: Value;
}

export interface LocatedObject extends Located {
  /** Fields that are set, null ones left out. */
  readonly fields: ReadonlyMap<string, Located>;
}

export type Scalar = string | boolean | number | bigint;
export type CanonicalValue = Scalar | readonly CanonicalValue[] | { readonly [name: string]: CanonicalValue };

export interface DecodeOptions {
  /** Names of other formats and what they are called here. */
  readonly foreignNames: Readonly<Record<string, string>>;
  /** Minor version of Talos 1.x the document is for: newer fields are warned of. Absent: the newest. */
  readonly talosMinor?: number;
  /** Where nothing is lost by a key that nobody reads; an error unless told. */
  readonly unknownKeys?: Problem['severity'];
  /** The reader refuses documents with keys it does not know: also those of later releases. */
  readonly refusesUnknown?: true;
}

interface Decoder {
  readonly options: DecodeOptions;
  readonly problems: Problem[];
}

/** Decodes the root of a document; problems are appended to `problems`. */
export function decodeObject(
  node: YamlNode,
  type: ObjectType,
  options: DecodeOptions,
  problems: Problem[],
): LocatedObject {
  return objectOf({ options, problems }, node, type, '');
}

/**
 * The value without places, zero values left out: two documents with the same meaning for the node have the same one.
 * Enumerations are their canonical text, addresses and durations in canonical form.
 */
export function canonicalObject(object: LocatedObject, type: ObjectType): Readonly<Record<string, CanonicalValue>> {
  const entries: [string, CanonicalValue][] = [];
  for (const [name, field] of Object.entries(type.fields)) {
    const located = object.fields.get(name);
    const value = located === undefined ? undefined : canonicalValue(located, field.type);
    if (value !== undefined && (field.zeroCounts === true || !isZero(value, field.type))) entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}

/** A problem at a value, an error unless told otherwise. */
export function problemOf(
  located: { readonly node: YamlNode; readonly path: string },
  message: string,
  details: { readonly hint?: string | undefined; readonly severity?: Problem['severity'] | undefined } = {},
): Problem {
  const { hint, severity = 'error' } = details;
  const { position, length } = located.node;
  const place = { position, length, ...(located.path === '' ? {} : { path: located.path }) };
  return { severity, ...place, message, ...(hint === undefined ? {} : { hint }) };
}

/** What the text wants to be told: `a mapping`, `a list`, the quoted text. */
export function described(node: YamlNode, isSecret = false): string {
  if (node.kind === 'mapping') return 'a mapping';
  if (node.kind === 'sequence') return 'a list';
  if (isSecret) return 'a value';
  if (node.text === '' && node.style === 'plain') return 'nothing';
  // As in the text: 5 and "5" are different things to the node.
  return node.style === 'plain' && resolveScalar(node).type !== 'string' ? cut(node.text) : quoted(node.text);
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function objectOf(decoder: Decoder, node: YamlNode, type: ObjectType, path: string): LocatedObject {
  const fields = new Map<string, Located>();
  const object: LocatedObject = { path, node, fields, value: fields };
  if (node.kind !== 'mapping') {
    const names = Object.keys(type.fields);
    const wish = names.length === 0 ? 'want a mapping' : `want a mapping with ${listed(names)}`;
    decoder.problems.push(problemOf(object, `${described(node)}: ${wish}`));
    return { path, node, fields };
  }
  for (const { key, value } of node.entries) {
    const field = Object.hasOwn(type.fields, key.text) ? type.fields[key.text] : undefined;
    const inner = path === '' ? key.text : `${path}.${key.text}`;
    if (field === undefined) {
      // What the key was probably meant to be counts as set, so that nobody is told it is missing as well.
      const meant = unknownKey(decoder, key, type, path);
      if (meant !== undefined && decoder.options.unknownKeys !== 'warning' && !fields.has(meant))
        fields.set(meant, { path: inner, node: key });
    }
    const isRead = !isNull(value) || decoder.options.refusesUnknown === true;
    if (field !== undefined && isRead && isTooNew(decoder, field)) tooNew(decoder, key, inner, field);
    if (field !== undefined && !isNull(value)) {
      fields.set(key.text, fieldValue(decoder, value, field, inner));
    }
  }
  return object;
}

function fieldValue(decoder: Decoder, node: YamlNode, field: Field, path: string): Located {
  const { type } = field;
  switch (type.kind) {
    case 'object':
      return objectOf(decoder, node, type, path);
    case 'list':
      return listOf(decoder, node, type, path);
    case 'map':
      return mapOf(decoder, node, type, path);
    case 'texts':
      return node.kind === 'sequence' ? listOf(decoder, node, TEXTS, path) : scalarOf(decoder, node, TEXT, path);
    case 'free':
      return freeOf(decoder, node, path);
    case 'string-map':
      return stringMapOf(decoder, node, path);
    default:
      return scalarOf(decoder, node, field, path);
  }
}

function listOf(decoder: Decoder, node: YamlNode, type: ListType, path: string): Located {
  if (node.kind !== 'sequence') {
    const hint = node.kind === 'mapping' ? `put "- " before the first key` : `write it as a list: "- ..." or [...]`;
    decoder.problems.push(problemOf({ node, path }, `${described(node)}: want a list`, { hint }));
    return { path, node };
  }
  // A dropped null item keeps its number.
  const items = node.items.flatMap((item, index) => {
    const inner = `${path}[${index}]`;
    if (!isNull(item)) return [fieldValue(decoder, item, { type: type.of }, inner)];
    return type.nulls === 'zero' ? [zeroValue(item, type.of, inner)] : [];
  });
  return { path, node, value: items };
}

function mapOf(decoder: Decoder, node: YamlNode, type: MapType, path: string): Located {
  if (node.kind !== 'mapping') {
    decoder.problems.push(problemOf({ node, path }, `${described(node)}: want a mapping`));
    return { path, node };
  }
  const value = new Map<string, Located>();
  for (const entry of node.entries) {
    const inner = `${path}.${entry.key.text}`;
    // Such a key is read and thrown away.
    if (isNull(entry.key)) continue;
    if (!isNull(entry.value)) value.set(entry.key.text, fieldValue(decoder, entry.value, { type: type.of }, inner));
    else if (type.nulls === 'zero') value.set(entry.key.text, zeroValue(entry.value, type.of, inner));
    else value.set(entry.key.text, { path: inner, node: entry.value });
  }
  return { path, node, value };
}

/** What null stands for where it cannot be left out. */
function zeroValue(node: YamlNode, type: FieldType, path: string): Located {
  if (type.kind === 'object') {
    const fields = new Map<string, Located>();
    return { path, node, fields, value: fields } as LocatedObject;
  }
  if (type.kind === 'integer') return { path, node, value: 0n };
  return { path, node, value: type.kind === 'boolean' ? false : '' };
}

/** Where nothing is known of the content, only what no reader takes is refused: tags that do not fit. */
function freeOf(decoder: Decoder, node: YamlNode, path: string): Located {
  if (node.kind !== 'mapping') {
    decoder.problems.push(problemOf({ node, path }, `${described(node)}: want a mapping`));
    return { path, node };
  }
  const value = nodeValue(node, (at, message) => decoder.problems.push(problemOf({ node: at, path }, message)));
  return { path, node, value };
}

function stringMapOf(decoder: Decoder, node: YamlNode, path: string): Located {
  if (node.kind !== 'mapping') {
    decoder.problems.push(problemOf({ node, path }, `${described(node)}: want a mapping of names to texts`));
    return { path, node };
  }
  const value = new Map<string, Located>();
  for (const entry of node.entries) {
    const inner = `${path}.${entry.key.text}`;
    const isUnset = isNull(entry.value);
    const text = isUnset ? { path: inner, node: entry.value, value: '' } : scalarOf(decoder, entry.value, TEXT, inner);
    value.set(entry.key.text, text);
  }
  return { path, node, value };
}

const TEXT: Field = { type: { kind: 'string' } };
const TEXTS: ListType = { kind: 'list', of: TEXT.type, nulls: 'zero' };

function scalarOf(decoder: Decoder, node: YamlNode, field: Field, path: string): Located {
  if (node.kind !== 'scalar') {
    decoder.problems.push(problemOf({ node, path }, `${described(node)}: want ${wishOf(field.type)}`));
    return { path, node };
  }
  const read = readScalar(node, field.type);
  if ('value' in read) return { path, node, value: read.value };
  const value = described(node, field.secret === true);
  decoder.problems.push(problemOf({ node, path }, `${value}: ${read.message}`, { hint: read.hint }));
  return read.meaning === undefined ? { path, node } : { path, node, value: read.meaning };
}

function readScalar(node: ScalarNode, type: FieldType): Reading {
  if (resolveScalar(node).type === 'mismatch') return { message: `does not fit its tag ${node.tag}` };
  switch (type.kind) {
    case 'boolean':
      return readBoolean(node);
    case 'integer':
      return readInteger(node, type);
    case 'duration':
      return readDuration(node);
    case 'enum':
      return readEnum(node.text, type);
    case 'flags':
      return readFlags(node.text, type);
    case 'address':
    case 'prefix':
      return readNetworkValue(node.text, type.kind);
    case 'hardware-address':
      return readHardwareAddress(node.text);
    case 'format':
      return type.read(node);
    default:
      return readText(node);
  }
}

function readText(node: ScalarNode): Reading {
  const value = asText(node);
  if (value !== undefined) return { value };
  return { message: 'an unquoted date is no text', hint: `write "${node.text}" in quotes` };
}

function readBoolean(node: ScalarNode): Reading {
  const value = asBoolean(node);
  if (value !== undefined) return { value };
  const isQuoted = node.style !== 'plain' && /^(?:true|false)$/i.test(node.text);
  return { message: 'want true or false', hint: isQuoted ? 'leave the quotes away' : undefined };
}

function readInteger(node: ScalarNode, type: IntegerType): Reading {
  const value = asInteger(node);
  const wish = `want a whole number${range(type)}`;
  if (value !== undefined && value >= type.min && value <= type.max) return { value };
  const isQuoted = value === undefined && node.style !== 'plain' && /^[-+]?[0-9]+$/.test(node.text);
  return { message: wish, hint: isQuoted ? 'leave the quotes away' : undefined };
}

function range({ min, max }: IntegerType): string {
  return max >= 2n ** 63n - 1n ? '' : ` ${min}..${max}`;
}

function readDuration(node: ScalarNode): Reading {
  const scalar = resolveScalar(node);
  if ((scalar.type === 'integer' || scalar.type === 'float') && Number(scalar.value) === 0) return { value: 0n };
  const value = scalar.type === 'string' ? parseDuration(node.text) : undefined;
  if (value !== undefined) return { value };
  const isBare = /^[0-9]+$/.test(node.text);
  return { message: 'want a duration, like 30s or 1m30s', hint: isBare ? `${node.text}s?` : undefined };
}

function readEnum(text: string, type: EnumType): Reading {
  const folded = type.caseSensitive === true ? text : text.toLowerCase();
  const value =
    Object.keys(type.values).find((name) => name === text) ??
    (type.caseSensitive === true
      ? undefined
      : Object.keys(type.values).find((name) => name.toLowerCase() === folded)) ??
    (type.aliases !== undefined && Object.hasOwn(type.aliases, text) ? type.aliases[text] : undefined);
  if (value !== undefined) return { value };
  return { message: `no ${type.name}: want ${enumWish(type)}`, hint: enumHint(text, type) };
}

function enumWish(type: EnumType): string {
  return type.wish ?? listed(Object.keys(type.values), 'or');
}

function enumHint(text: string, type: EnumType): string | undefined {
  const named = /^[0-9]+$/.test(text)
    ? Object.keys(type.values).find((name) => type.values[name] === Number(text))
    : undefined;
  if (named !== undefined && named !== text) return `the number ${text} is written ${named}`;
  const similar = COMMON_WORDS.get(text.toLowerCase()) ?? '';
  const near = Object.hasOwn(type.values, similar) ? similar : nearName(text, Object.keys(type.values));
  return near === undefined ? undefined : `did you mean ${near}?`;
}

/** What the same things are called elsewhere. */
const COMMON_WORDS: ReadonlyMap<string, string> = new Map([
  ['ipv4', 'inet4'],
  ['ipv6', 'inet6'],
  ['inet', 'inet4'],
  ['ip4', 'inet4'],
  ['ip6', 'inet6'],
  ['v4', 'inet4'],
  ['v6', 'inet6'],
  ['universe', 'global'],
  ['ethernet', 'ether'],
  ['none', 'nohdr'],
  ['lacp', '802.3ad'],
  ['dhcp', 'dhcp4'],
  ['vlan', '802.1q'],
]);

function readFlags(text: string, type: FlagsType): Reading {
  if (text === '' && type.mayBeEmpty) return { value: '' };
  const names = Object.keys(type.values);
  const wanted = text.split(',');
  const found = wanted.map((flag) => names.find((name) => name === flag || name === flag.toLowerCase()));
  const strange = wanted[found.indexOf(undefined)];
  if (strange === undefined) return { value: names.filter((name) => found.includes(name)).join(',') };
  const wish = `want ${listed(names, 'or')}`;
  if (text === '') return { message: wish, hint: 'leave the key out for no flags' };
  const near = nearName(strange, names);
  const which = wanted.length === 1 ? `no ${type.name}` : `no ${type.name} ${quoted(strange)}`;
  const hint = /[^a-z_]/i.test(strange) ? 'join several with "," and no blanks' : undefined;
  return { message: `${which}: ${wish}`, hint: near === undefined ? hint : `did you mean ${near}?` };
}

/** `""` is the unset value of both. */
function readNetworkValue(text: string, kind: 'address' | 'prefix'): Reading {
  if (text === '') return { value: '' };
  if (kind === 'address') {
    const address = parseAddress(text);
    if (!isMistake(address)) return { value: formatAddress(address) };
    return { message: `${address.mistake}: want an IP address`, hint: addressHint(text) };
  }
  const prefix = parsePrefix(text);
  if (!isMistake(prefix)) return { value: formatPrefix(prefix) };
  const bare = parseAddress(text);
  const example = isMistake(bare) ? '192.168.1.10/24' : `${text}/${bare.bytes.length === 4 ? 24 : 64}`;
  const wish = `want an address with prefix length, like ${example}`;
  const message = text.includes('/') ? `${prefix.mistake}: ${wish}` : wish;
  return { message, hint: prefixHint(text) };
}

function addressHint(text: string): string | undefined {
  const slash = text.indexOf('/');
  if (slash > 0 && !isMistake(parseAddress(text.slice(0, slash)))) return 'leave the prefix length away';
  if (/^\[?[0-9a-fA-F.:]+\]?:[0-9]+$/.test(text) || text.startsWith('[')) return 'no port and no brackets here';
  return /^[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.?$/i.test(text) ? 'names are not looked up here' : undefined;
}

function prefixHint(text: string): string | undefined {
  if (text === 'default') return 'leave the key out for a default route';
  const [, address = '', mask = ''] = /^([0-9.]+)\/([0-9]+\.[0-9.]+)$/.exec(text) ?? [];
  const netmask = parseAddress(mask);
  if (isMistake(netmask)) return undefined;
  const bits = leadingOnes(netmask.bytes);
  return bits === undefined ? undefined : `${address}/${bits}`;
}

function readHardwareAddress(text: string): Reading {
  if (text === '') return { value: '' };
  const address = parseHardwareAddress(text);
  const meaning = lenientHardwareAddress(text);
  if (!isMistake(address)) return { value: meaning };
  const dashed = text.replaceAll(/[-.]/g, ':').toLowerCase();
  const hint = dashed !== text && !isMistake(parseHardwareAddress(dashed)) ? `write ${dashed}` : undefined;
  return { message: `${address.mistake}: want a MAC address like 02:00:5e:10:00:01`, hint, meaning };
}

function wishOf(type: FieldType): string {
  switch (type.kind) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${range(type)}`;
    case 'duration':
      return 'a duration, like 30s';
    case 'address':
      return 'one IP address';
    case 'prefix':
      return 'one address with prefix length';
    case 'flags':
      return 'one text, names joined with ","';
    case 'enum':
      return enumWish(type);
    case 'format':
      return type.wish;
    case 'texts':
      return 'a text or a list of texts';
    default:
      return 'one text';
  }
}

function unknownKey(decoder: Decoder, key: ScalarNode, type: ObjectType, path: string): string | undefined {
  const names = Object.keys(type.fields);
  const foreign = Object.hasOwn(decoder.options.foreignNames, key.text) ? decoder.options.foreignNames[key.text]! : '';
  const near = names.includes(foreign) ? foreign : nearName(key.text, names);
  const known = near === undefined ? `known here: ${listed(names)}` : `did you mean ${near}?`;
  const inner = path === '' ? key.text : `${path}.${key.text}`;
  const details = { hint: known, severity: decoder.options.unknownKeys };
  const fate = decoder.options.refusesUnknown === true ? 'refuse the document' : 'ignore it';
  decoder.problems.push(problemOf({ node: key, path: inner }, `unknown key, Talos would ${fate}`, details));
  return near;
}

function isTooNew(decoder: Decoder, field: Field): boolean {
  const { talosMinor } = decoder.options;
  return field.since !== undefined && talosMinor !== undefined && talosMinor < Number(field.since.split('.')[1]);
}

function tooNew(decoder: Decoder, key: ScalarNode, path: string, field: Field): void {
  const isRefused = decoder.options.refusesUnknown === true;
  const message = `Talos before ${field.since} ${isRefused ? 'refuses' : 'ignores'} this`;
  decoder.problems.push(problemOf({ node: key, path }, message, { severity: isRefused ? 'error' : 'warning' }));
}

/** `a, b and c`. */
export function listed(names: readonly string[], last: 'and' | 'or' = 'and'): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} ${last} ${names.at(-1)}`;
}

function canonicalValue(located: Located, type: FieldType): CanonicalValue | undefined {
  const { value } = located;
  if (value === undefined) return undefined;
  switch (type.kind) {
    case 'object':
      return canonicalObject(located as LocatedObject, type);
    case 'list':
      return (value as readonly Located[]).map((item) => canonicalValue(item, type.of) ?? '');
    case 'texts':
      return Array.isArray(value) ? (value as readonly Located[]).map((item) => String(item.value)) : String(value);
    case 'free':
      return value as CanonicalValue;
    case 'map':
      return Object.fromEntries(
        [...(value as Map<string, Located>)].map(([name, item]) => [name, canonicalValue(item, type.of) ?? '']),
      );
    case 'string-map':
      return Object.fromEntries([...(value as Map<string, Located>)].map(([name, text]) => [name, String(text.value)]));
    case 'duration':
      return formatDuration(value as bigint);
    case 'integer':
      return narrowed(value as bigint);
    default:
      return value as Scalar;
  }
}

/** A plain number where it is exact. */
export function narrowed(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function isZero(value: CanonicalValue, type: FieldType): boolean {
  switch (type.kind) {
    case 'enum':
      return type.values[value as string] === 0;
    case 'duration':
      return value === '0s';
    case 'integer':
      return value === 0;
    case 'boolean':
      return value === false;
    case 'list':
      return (value as readonly CanonicalValue[]).length === 0;
    case 'object':
    case 'map':
    case 'free':
    case 'string-map':
      return Object.keys(value as object).length === 0;
    case 'texts':
      return (value as string | readonly string[]).length === 0;
    default:
      return value === '';
  }
}
