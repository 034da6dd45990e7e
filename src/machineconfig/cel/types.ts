/** Types of CEL values. `dyn` fits everything: what is known only when the expression runs. */

export type CelType =
  | ScalarType
  | { readonly list: CelType }
  | { readonly key: CelType; readonly value: CelType }
  | { readonly optional: CelType }
  | { readonly message: string; readonly fields: Readonly<Record<string, CelType>> };

export type ScalarType =
  | 'int'
  | 'uint'
  | 'double'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'null'
  | 'duration'
  | 'timestamp'
  | 'type'
  | 'dyn';

export function typeName(type: CelType): string {
  if (typeof type === 'string') return type;
  if ('list' in type) return `list of ${typeName(type.list)}`;
  if ('key' in type) return `map of ${typeName(type.key)} to ${typeName(type.value)}`;
  return 'optional' in type ? `optional ${typeName(type.optional)}` : type.message;
}

export function fits(a: CelType, b: CelType): boolean {
  if (a === 'dyn' || b === 'dyn') return true;
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  if ('list' in a) return 'list' in b && fits(a.list, b.list);
  if ('key' in a) return 'key' in b && fits(a.key, b.key) && fits(a.value, b.value);
  if ('optional' in a) return 'optional' in b && fits(a.optional, b.optional);
  return 'message' in b && a.message === b.message;
}

/** The type of a list or a choice of both. */
export function joined(types: readonly CelType[]): CelType {
  const [first] = types;
  return first !== undefined && types.every((type) => fits(type, first)) ? first : 'dyn';
}
