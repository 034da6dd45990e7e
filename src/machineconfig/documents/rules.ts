/** Validation of one document by itself: what must be set, and the rules of its kind. Source: spec machine-config 3. */
import type { Problem } from '../../yaml/diagnostic.ts';
import { type Located, type LocatedObject, problemOf } from '../decode.ts';
import type { Field, ObjectType } from '../field-types.ts';
import { isSet, type Report } from '../located.ts';
import { type ConfigDocument, documentType } from './load.ts';
import { expressionProblem } from './rules/expressions.ts';
import { KUBERNETES_RULES } from './rules/kubernetes.ts';
import { NETWORK_RULES } from './rules/network.ts';
import { ROOT_RULES } from './rules/root.ts';
import type { CheckContext, Rule } from './rules/rule.ts';
import { SYSTEM_RULES } from './rules/system.ts';
import { VOLUME_RULES } from './rules/volumes.ts';

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  ...NETWORK_RULES,
  ...VOLUME_RULES,
  ...KUBERNETES_RULES,
  ...SYSTEM_RULES,
  '': ROOT_RULES,
};

export function documentRules(document: ConfigDocument, context: CheckContext): readonly Problem[] {
  const problems: Problem[] = [];
  const { kind, object } = document;
  const report: Report = (located, message, details) => {
    const severity = details?.severity === 'warning' && kind === '' && context.strict ? 'error' : details?.severity;
    problems.push(problemOf(located, message, { ...details, severity }));
  };
  checkFields(object, documentType(kind), report);
  for (const rule of RULES[kind] ?? []) rule(object, report, context);
  return problems;
}

/** What the table itself demands, at every depth that is there. */
function checkFields(object: LocatedObject, type: ObjectType, report: Report): void {
  for (const [name, field] of Object.entries(type.fields)) checkField(object, name, field, report);
}

function checkField(object: LocatedObject, name: string, field: Field, report: Report): void {
  const located = object.fields.get(name);
  if (field.required === true && !isSet(object, name)) report(located ?? object, `${name}: want a value`);
  if (located?.value === undefined) return;
  const { type } = field;
  if (type.kind === 'object') checkFields(located as LocatedObject, type, report);
  else if (type.kind === 'list' && type.of.kind === 'object') {
    for (const item of located.value as readonly Located[]) {
      if ('fields' in item && item.value !== undefined) checkFields(item as LocatedObject, type.of, report);
    }
  } else if (type.kind === 'string' && type.expression !== undefined && located.value !== '') {
    const problem = expressionProblem(String(located.value), type.expression);
    if (problem !== undefined) report(located, problem);
  }
}
