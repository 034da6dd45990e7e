/** Types of the fields of documents: what the tables are made of, and the decoder and the validators read. */
import type { ScalarNode } from '../yaml/document.ts';
import type { YamlValue } from '../yaml/value.ts';

export interface EnumType {
  readonly kind: 'enum';
  /** What messages call it: `address family`. */
  readonly name: string;
  /** Canonical text to number. */
  readonly values: Readonly<Record<string, number>>;
  /** Other texts upstream takes. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Only the exact letter case is taken. */
  readonly caseSensitive?: true;
  /** What messages list when all values would be too many. */
  readonly wish?: string;
}

export interface FlagsType {
  readonly kind: 'flags';
  readonly name: string;
  readonly values: Readonly<Record<string, number>>;
  /** `""` is no flags instead of an error. */
  readonly mayBeEmpty: boolean;
}

export interface IntegerType {
  readonly kind: 'integer';
  readonly min: bigint;
  readonly max: bigint;
}

export type FieldType =
  | { readonly kind: 'boolean' | 'duration' | 'address' | 'prefix' | 'hardware-address' | 'string-map' }
  | StringType
  | FormatType
  | EnumType
  | FlagsType
  | IntegerType
  | ListType
  | MapType
  /** One text or a list of them. */
  | { readonly kind: 'texts' }
  /** A mapping of anything: what it holds is somebody else's format. */
  | { readonly kind: 'free' }
  | ObjectType;

export interface StringType {
  readonly kind: 'string';
  /** The values that make sense, for editors; others are a matter of validation. */
  readonly usual?: readonly string[];
  /** The environment of a CEL expression. */
  readonly expression?: string;
}

/** What a scalar of some format means, in canonical form; or what is wrong with it. */
export type Reading =
  | { readonly value: unknown }
  /** `meaning` is what upstream reads all the same, where only we refuse. */
  | { readonly message: string; readonly hint?: string | undefined; readonly meaning?: unknown };

/** A scalar with a grammar of its own. */
export interface FormatType {
  readonly kind: 'format';
  /** `a size like 10GiB`. */
  readonly wish: string;
  /** What a JSON schema can say of it. */
  readonly pattern?: string;
  readonly read: (node: ScalarNode) => Reading;
  /** How upstream writes the value back, where that is no text. */
  readonly encode?: (value: string) => YamlValue;
}

export interface ListType {
  readonly kind: 'list';
  readonly of: FieldType;
  /** A null item counts as a zero value; dropped unless told. */
  readonly nulls?: 'zero';
}

/** A mapping of free names. */
export interface MapType {
  readonly kind: 'map';
  readonly of: FieldType;
  /** A null value counts as a zero value, or stays without a value for the rules to find. */
  readonly nulls: 'zero' | 'kept';
}

export interface ObjectType {
  readonly kind: 'object';
  readonly fields: Readonly<Record<string, Field>>;
}

export interface Field {
  readonly type: FieldType;
  /** First release that reads the field; older ones ignore it. Absent: all that are supported. */
  readonly since?: string;
  /** First release that advises against it. */
  readonly deprecated?: string;
  /** A zero value is as good as none, and none is an error. */
  readonly required?: true;
  /** How upstream writes a zero value back, where that is not as usual for the type: also when it is absent, or never. */
  readonly zero?: 'always' | 'kept' | 'dropped';
  /** A patch replaces the value instead of merging or appending. */
  readonly patch?: 'replace';
  /** Zero and `false` said explicitly differ from nothing said. */
  readonly zeroCounts?: true;
  /** The value is a credential: never shown. */
  readonly secret?: true;
}

/** A field that has nothing but a type may be given as that. */
export function object(fields: Readonly<Record<string, Field | FieldType>>): ObjectType {
  const entries = Object.entries(fields).map(([name, field]) => [name, 'type' in field ? field : { type: field }]);
  return { kind: 'object', fields: Object.fromEntries(entries) };
}

export function list(of: FieldType): FieldType {
  return { kind: 'list', of };
}
