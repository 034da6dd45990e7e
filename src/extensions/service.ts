/**
 * `usr/local/etc/containers/*.yaml`: services that an extension brings (spec profiles-and-inputs 7.10; upstream pkg/machinery/extensions/services).
 * A node logs a bad file and goes on without the service, so the mistake has to show before.
 */
import { decodeObject, type Located, problemOf } from '../machineconfig/decode.ts';
import {
  type EnumType,
  type FieldType,
  type IntegerType,
  list,
  type ObjectType,
  object,
} from '../machineconfig/field-types.ts';
import { byPosition, type Problem } from '../yaml/diagnostic.ts';
import { readFirstDocument } from '../yaml/document.ts';
import { isNull } from '../yaml/scalar.ts';

const STRING = { kind: 'string' } as const satisfies FieldType;
const BOOLEAN = { kind: 'boolean' } as const satisfies FieldType;
const STRINGS: FieldType = list(STRING);
const UINT32: IntegerType = { kind: 'integer', min: 0n, max: 2n ** 32n - 1n };

const RESTART: EnumType = { kind: 'enum', name: 'restart kind', values: { always: 1, never: 2, untilSuccess: 3 } };
const NETWORK_STATUS: EnumType = {
  kind: 'enum',
  name: 'network status',
  values: { addresses: 1, connectivity: 2, hostname: 3, etcfiles: 4 },
};

const ID_MAPPINGS: FieldType = list(object({ containerid: UINT32, hostid: UINT32, size: UINT32 }));

const SERVICE: ObjectType = object({
  name: STRING,
  container: object({
    entrypoint: STRING,
    environment: STRINGS,
    environmentFile: STRING,
    args: STRINGS,
    mounts: list(
      object({
        destination: STRING,
        type: STRING,
        source: STRING,
        options: STRINGS,
        uidmappings: ID_MAPPINGS,
        gidmappings: ID_MAPPINGS,
      }),
    ),
    security: object({
      writeableSysfs: BOOLEAN,
      writeableRootfs: BOOLEAN,
      maskedPaths: STRINGS,
      readonlyPaths: STRINGS,
      rootfsPropagation: STRING,
    }),
  }),
  depends: list(
    object({
      service: STRING,
      path: STRING,
      network: list(NETWORK_STATUS),
      time: BOOLEAN,
      configuration: BOOLEAN,
    }),
  ),
  restart: RESTART,
  logToConsole: BOOLEAN,
});

const NAME = /^[-_a-z0-9]+$/;

export interface ReadService {
  /** Absent where there is none that a node would take. */
  readonly name?: string;
  /** Everything that is wrong, by position. Without errors a node starts the service. */
  readonly problems: readonly Problem[];
}

/** `file` is what messages call the text. */
export function readService(text: string, file: string): ReadService {
  const { document, problems: broken } = readFirstDocument(text, { file });
  if (broken.length > 0) return { problems: broken };
  if (document === undefined) {
    const position = { line: 1, column: 1 };
    return { problems: [{ severity: 'error', position, message: 'empty, want a service' }] };
  }
  const problems: Problem[] = [];
  const empty = { ...document, kind: 'mapping', entries: [] } as const;
  const root = isNull(document) ? empty : document;
  const { fields } = decodeObject(root, SERVICE, { foreignNames: {}, unknownKeys: 'warning' }, problems);
  const all: Located = { path: '', node: root };
  if (root.kind === 'mapping') {
    problems.push(...nameProblems(fields.get('name') ?? all));
    problems.push(...entrypointProblems(fields.get('container'), all));
    if (!fields.has('restart')) problems.push(problemOf(all, 'restart is missing: want always, never or untilSuccess'));
  }
  problems.push(...listOf(fields.get('depends')).flatMap(dependencyProblems));
  problems.sort(byPosition);
  const name = fields.get('name')?.value;
  return typeof name === 'string' && NAME.test(name) ? { name, problems } : { problems };
}

function nameProblems(name: Located): Problem[] {
  if (name.path === '') return [problemOf(name, 'name is missing: want letters a-z, digits, - and _')];
  if (name.value === undefined || NAME.test(String(name.value))) return [];
  return [problemOf(name, `${JSON.stringify(name.value)}: want letters a-z, digits, - and _`)];
}

function entrypointProblems(container: Located | undefined, all: Located): Problem[] {
  const entrypoint = textOf(container, 'entrypoint');
  if (entrypoint !== '' || container?.node.kind === 'scalar') return [];
  return [
    problemOf(
      container ?? all,
      'container.entrypoint is missing: want the program, relative to the root of the container',
    ),
  ];
}

/** Each is exactly one wait. */
function dependencyProblems(dependency: Located): Problem[] {
  if (dependency.node.kind !== 'mapping') return [];
  const path = textOf(dependency, 'path');
  const set = [
    textOf(dependency, 'service') !== '',
    path !== '',
    listOf(member(dependency, 'network')).length > 0,
    member(dependency, 'time')?.value === true,
    member(dependency, 'configuration')?.value === true,
  ].filter(Boolean).length;
  const problems: Problem[] = [];
  if (path !== '' && path !== undefined && !path.startsWith('/')) {
    problems.push(
      problemOf(member(dependency, 'path') ?? dependency, `${JSON.stringify(path)}: want an absolute path`),
    );
  }
  if (set === 0) problems.push(problemOf(dependency, `waits for nothing: want ${KINDS}`));
  if (set > 1) problems.push(problemOf(dependency, `waits for ${set} things: want one of ${KINDS} in each`));
  return problems;
}

const KINDS = 'service, path, network, time or configuration';

function member(located: Located, name: string): Located | undefined {
  return located.value instanceof Map ? located.value.get(name) : undefined;
}

/** Empty when it is not set, `undefined` when it is no text. */
function textOf(located: Located | undefined, name: string): string | undefined {
  const found = located === undefined ? undefined : member(located, name);
  return found === undefined ? '' : (found.value as string | undefined);
}

function listOf(located: Located | undefined): readonly Located[] {
  return Array.isArray(located?.value) ? located.value : [];
}
