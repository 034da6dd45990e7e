/** The table of documents as a JSON schema, for editors (draft 7, which the YAML language servers read). */
import type { Field, FieldType, IntegerType, ObjectType } from '../field-types.ts';
import { NEWEST_MINOR } from './check.ts';
import { KINDS } from './kinds.ts';
import { documentType } from './load.ts';

/** A JSON schema, or a part of one. */
export type JsonSchema = { readonly [key: string]: unknown };

/** Describes every document that Talos 1.`minor` takes; what it says is less than what `checkMachineConfig` finds. */
export function machineConfigSchema(minor: number = NEWEST_MINOR): JsonSchema {
  const kinds = Object.entries(KINDS).filter(([, { since }]) => minorOf(since) <= minor);
  const documents = kinds.map(([kind, { named }]) => [kind, documentSchema(kind, named === true, minor)] as const);
  const root = objectSchema(documentType(''), minor);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: `Machine configuration of Talos 1.${minor}`,
    oneOf: ['v1alpha1', ...kinds.map(([kind]) => kind)].map((name) => ({ $ref: `#/definitions/${name}` })),
    definitions: { v1alpha1: { ...root, required: ['machine', 'cluster'] }, ...Object.fromEntries(documents) },
  };
}

function documentSchema(kind: string, isNamed: boolean, minor: number): JsonSchema {
  const schema = objectSchema(documentType(kind), minor);
  const header = { apiVersion: { const: 'v1alpha1' }, kind: { const: kind } };
  const required = ['apiVersion', 'kind', ...(isNamed ? ['name'] : [])];
  const listed = Object.entries(documentType(kind).fields).filter(([name, field]) => field.required && name !== 'name');
  return {
    title: kind,
    ...schema,
    properties: { ...(schema.properties as object), ...header },
    required: [...required, ...listed.map(([name]) => name)],
  };
}

function objectSchema(type: ObjectType, minor: number): JsonSchema {
  const known = Object.entries(type.fields).filter(([, { since }]) => since === undefined || minorOf(since) <= minor);
  const properties = Object.fromEntries(known.map(([name, field]) => [name, fieldSchema(field, minor)]));
  return { type: 'object', properties, additionalProperties: false };
}

function fieldSchema(field: Field, minor: number): JsonSchema {
  const { since, deprecated } = field;
  const isDeprecated = deprecated !== undefined && minorOf(deprecated) <= minor;
  const notes = [
    ...(since === undefined ? [] : [`Since Talos ${since}.`]),
    ...(isDeprecated ? [`Deprecated since Talos ${deprecated}.`] : []),
  ];
  return {
    ...typeSchema(field.type, minor),
    ...(notes.length === 0 ? {} : { description: notes.join(' ') }),
    ...(isDeprecated ? { deprecated: true } : {}),
  };
}

function typeSchema(type: FieldType, minor: number): JsonSchema {
  switch (type.kind) {
    case 'object':
      return objectSchema(type, minor);
    case 'list':
      return { type: 'array', items: typeSchema(type.of, minor) };
    case 'map':
      return { type: 'object', additionalProperties: typeSchema(type.of, minor) };
    case 'string-map':
      return { type: 'object', additionalProperties: TEXT };
    case 'free':
      return { type: 'object' };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return integerSchema(type);
    case 'enum':
      return { enum: Object.keys(type.values) };
    case 'texts':
      return { anyOf: [TEXT, { type: 'array', items: TEXT }] };
    case 'string':
      return type.usual === undefined ? TEXT : { ...TEXT, examples: type.usual };
    case 'format':
      return { type: ['string', 'number'], description: type.wish };
    default:
      return { type: 'string' };
  }
}

/** Numbers and booleans are texts where a text is wanted: the node takes them as they are written. */
const TEXT: JsonSchema = { type: ['string', 'number', 'boolean'] };

function integerSchema({ min, max }: IntegerType): JsonSchema {
  return {
    type: 'integer',
    ...(min >= Number.MIN_SAFE_INTEGER ? { minimum: Number(min) } : {}),
    ...(max <= Number.MAX_SAFE_INTEGER ? { maximum: Number(max) } : {}),
  };
}

function minorOf(version: string): number {
  return Number(version.split('.')[1]);
}
