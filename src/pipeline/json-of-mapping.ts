/** Free-form YAML as JSON, for plans: shown and compared, never read back as YAML. */
import { entriesOf, isMapping, TypedScalar, type YamlMapping, type YamlValue } from '../yaml/value.ts';

type JsonMapping = { readonly [key: string]: YamlValue };

/** Keys become texts; numbers beyond 2^53, floats and timestamps become the texts they are written as. */
export function jsonOfMapping(mapping: YamlMapping): JsonMapping {
  return Object.fromEntries(entriesOf(mapping).map(([key, value]) => [String(jsonOf(key)), jsonOf(value)]));
}

function jsonOf(value: YamlValue): YamlValue {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof TypedScalar) return value.text;
  if (isMapping(value)) return jsonOfMapping(value);
  return Array.isArray(value) ? value.map(jsonOf) : value;
}
