/**
 * How a container of an image runs: the `config` member of its configuration (image-spec config.md), carried over from another image in the form
 * go-containerregistry writes: known members in its order, without those that say nothing.
 */
import { invalid } from '../errors.ts';
import { compareNames } from '../tree/tree.ts';

type Json = unknown;
type Form = 'flag' | 'number' | 'text' | 'texts' | 'labels' | 'set' | 'health';
type Members = readonly (readonly [name: string, form: Form])[];

const MEMBERS: Members = [
  ['AttachStderr', 'flag'],
  ['AttachStdin', 'flag'],
  ['AttachStdout', 'flag'],
  ['Cmd', 'texts'],
  ['Healthcheck', 'health'],
  ['Domainname', 'text'],
  ['Entrypoint', 'texts'],
  ['Env', 'texts'],
  ['Hostname', 'text'],
  ['Image', 'text'],
  ['Labels', 'labels'],
  ['OnBuild', 'texts'],
  ['OpenStdin', 'flag'],
  ['StdinOnce', 'flag'],
  ['Tty', 'flag'],
  ['User', 'text'],
  ['Volumes', 'set'],
  ['WorkingDir', 'text'],
  ['ExposedPorts', 'set'],
  ['ArgsEscaped', 'flag'],
  ['NetworkDisabled', 'flag'],
  ['MacAddress', 'text'],
  ['StopSignal', 'text'],
  ['Shell', 'texts'],
];

const HEALTH_MEMBERS: Members = [
  ['Test', 'texts'],
  ['Interval', 'number'],
  ['Timeout', 'number'],
  ['StartPeriod', 'number'],
  ['Retries', 'number'],
];

/** `undefined` and null are a configuration that says nothing. Throws `invalid-input` naming `what` for a member of the wrong form. */
export function carriedConfig(given: Json, what: string): Readonly<Record<string, Json>> {
  return given === undefined || given === null ? {} : carried(MEMBERS, objectOf(given, what), what);
}

function carried(
  members: Members,
  given: Readonly<Record<string, Json>>,
  what: string,
): Readonly<Record<string, Json>> {
  const kept = members.flatMap(([name, form]): (readonly [string, Json])[] => {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined || value === null) return [];
    const written = FORMS[form](value, `${what}: ${name}`);
    return written === undefined ? [] : [[name, written]];
  });
  return Object.fromEntries(kept);
}

/** The value as it is written, `undefined` where that is not at all. */
const FORMS: Readonly<Record<Form, (value: Json, what: string) => Json>> = {
  flag: (value, what) => {
    if (typeof value !== 'boolean') throw invalid(`${what}: want true or false`);
    return value || undefined;
  },
  number: (value, what) => {
    if (!Number.isSafeInteger(value)) throw invalid(`${what}: want a whole number`);
    return value || undefined;
  },
  text: (value, what) => textOf(value, what) || undefined,
  texts: (value, what) => {
    if (!Array.isArray(value)) throw invalid(`${what}: want a list of texts`);
    return value.length === 0 ? undefined : value.map((one: Json) => textOf(one, what));
  },
  labels: (value, what) => sorted(objectOf(value, what), (one) => textOf(one, what)),
  set: (value, what) => sorted(objectOf(value, what), () => ({})),
  // Unlike the others it is written when it is there, whatever is in it.
  health: (value, what) => carried(HEALTH_MEMBERS, objectOf(value, what), what),
};

/** By the bytes of the keys, as Go sorts them. */
function sorted(value: Readonly<Record<string, Json>>, write: (one: Json) => Json): Json {
  const entries = Object.entries(value).sort(([a], [b]) => compareNames(a, b));
  return entries.length === 0 ? undefined : new Map(entries.map(([key, one]) => [key, write(one)]));
}

function textOf(value: Json, what: string): string {
  if (typeof value !== 'string') throw invalid(`${what}: want text`);
  return value;
}

function objectOf(value: Json, what: string): Readonly<Record<string, Json>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what}: want an object`);
  return value as Record<string, Json>;
}
