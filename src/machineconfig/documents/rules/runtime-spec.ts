/** Overrides of the OCI runtime specification: what its decoder refuses of the parts people set. */

import { entryValue, type MappingNode, type YamlNode } from '../../../yaml/document.ts';
import { asInteger, isNull, resolveScalar } from '../../../yaml/scalar.ts';
import type { Located } from '../../decode.ts';
import type { Report } from '../../located.ts';

export function runtimeSpec(overrides: Located, report: Report): void {
  const process = child(overrides.node, 'process');
  if (process === undefined) return;
  if (process.kind !== 'mapping') {
    report({ path: `${overrides.path}.process`, node: process }, 'want a mapping');
    return;
  }
  const limits = child(process, 'rlimits');
  if (limits === undefined) return;
  const path = `${overrides.path}.process.rlimits`;
  if (limits.kind === 'sequence')
    for (const [index, limit] of limits.items.entries()) resourceLimit(limit, `${path}[${index}]`, report);
  else report({ path, node: limits }, 'want a list');
}

function resourceLimit(limit: YamlNode, path: string, report: Report): void {
  if (isNull(limit)) return;
  if (limit.kind !== 'mapping') {
    report({ path, node: limit }, 'want a mapping with type, hard and soft');
    return;
  }
  const type = child(limit, 'type');
  const isText =
    type === undefined || (type.kind === 'scalar' && ['string', 'tagged'].includes(resolveScalar(type).type));
  if (!isText) report({ path: `${path}.type`, node: type! }, 'want a text like RLIMIT_NOFILE');
  for (const name of ['hard', 'soft']) {
    const value = child(limit, name);
    const number = value === undefined ? 0n : asInteger(value);
    if (number === undefined || number < 0n || number >= 2n ** 64n)
      report({ path: `${path}.${name}`, node: value! }, 'want a whole number');
  }
}

function child(node: YamlNode, name: string): YamlNode | undefined {
  const value = node.kind === 'mapping' ? entryValue(node as MappingNode, name) : undefined;
  return value === undefined || isNull(value) ? undefined : value;
}
