/**
 * The type of a CEL expression, or why it has none: what the compiler of CEL refuses before anything runs.
 * Source: the language definition of CEL, "Gradual Type Checking", "Standard Definitions" and "Macros".
 */
import type { Environment } from './environments.ts';
import { type Expression, ExpressionError, parseExpression } from './syntax.ts';
import { type CelType, fits, joined, type ScalarType, typeName } from './types.ts';

interface Scope {
  readonly variables: Readonly<Record<string, CelType>>;
  readonly functions: Environment['functions'];
}

/** What is wrong with `text`: syntax, unknown names, operands that do not fit, another result than wanted. */
export function checkExpression(text: string, environment: Environment): string | undefined {
  try {
    const type = typeOf(parseExpression(text), environment);
    if (fits(type, environment.result)) return undefined;
    return `gives ${typeName(type)}: want ${typeName(environment.result)}`;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return `character ${error.at + 1}: ${error.message}`;
  }
}

function typeOf(expression: Expression, scope: Scope): CelType {
  switch (expression.kind) {
    case 'literal':
      return expression.type;
    case 'name':
      return variable(expression.name, expression.at, scope);
    case 'list':
      return { list: joined(expression.items.map((item) => typeOf(item, scope))) };
    case 'map': {
      const types = expression.entries.map(([key, value]) => [typeOf(key, scope), typeOf(value, scope)] as const);
      return { key: joined(types.map(([key]) => key)), value: joined(types.map(([, value]) => value)) };
    }
    case 'select':
      return selected(typeOf(expression.of, scope), expression.field, expression.at);
    case 'index':
      return indexed(typeOf(expression.of, scope), typeOf(expression.key, scope), expression.at);
    case 'call':
      return called(expression, scope);
  }
}

const TYPE_NAMES = ['int', 'uint', 'double', 'bool', 'string', 'bytes', 'list', 'map', 'null_type', 'type'];

function variable(name: string, at: number, scope: Scope): CelType {
  if (Object.hasOwn(scope.variables, name)) return scope.variables[name]!;
  if (TYPE_NAMES.includes(name)) return 'type';
  throw new ExpressionError(at, `${name.slice(0, 60)}: no such name here`);
}

function selected(of: CelType, field: string, at: number): CelType {
  if (of === 'dyn') return 'dyn';
  if (typeof of !== 'string') {
    if ('key' in of) return of.value;
    if ('fields' in of && Object.hasOwn(of.fields, field)) return of.fields[field]!;
    if ('optional' in of) return { optional: selected(of.optional, field, at) };
  }
  throw new ExpressionError(at, `${field.slice(0, 60)}: ${typeName(of)} has no such field`);
}

function indexed(of: CelType, key: CelType, at: number): CelType {
  if (of === 'dyn') return 'dyn';
  if (typeof of !== 'string') {
    if ('list' in of && fits(key, 'int')) return of.list;
    if ('key' in of && fits(key, of.key)) return of.value;
  }
  throw new ExpressionError(at, `no [${typeName(key)}] of ${typeName(of)}`);
}

type Call = Extract<Expression, { kind: 'call' }>;

function called(call: Call, scope: Scope): CelType {
  const macro = call.target === undefined ? functionMacro(call, scope) : methodMacro(call, call.target, scope);
  if (macro !== undefined) return macro;
  const optional = optionalCall(call, scope);
  if (optional !== undefined) return optional;
  const target = call.target === undefined ? [] : [typeOf(call.target, scope)];
  const types = [...target, ...call.args.map((argument) => typeOf(argument, scope))];
  const result = call.target === undefined ? functionResult(call.name, types, scope) : methodResult(call.name, types);
  if (result !== undefined) return result;
  const name = call.name === 'negate' ? '-' : call.name;
  throw new ExpressionError(call.at, `no ${name.slice(0, 60)} of ${types.map(typeName).join(', ') || 'nothing'}`);
}

/** `has(a.b)` asks for a field, so `a.b` must be a selection. */
function functionMacro(call: Call, scope: Scope): CelType | undefined {
  const [argument] = call.args;
  if (call.name !== 'has' || call.args.length !== 1) return undefined;
  if (argument?.kind !== 'select') throw new ExpressionError(call.at, 'has: want a field');
  typeOf(argument, scope);
  return 'bool';
}

/** Macros over the items of a list, or the keys of a map: `items.exists(item, item == 1)`. */
function methodMacro(call: Call, target: Expression, scope: Scope): CelType | undefined {
  const isLoop = ['all', 'exists', 'exists_one', 'filter'].includes(call.name) && call.args.length === 2;
  const isMap = call.name === 'map' && (call.args.length === 2 || call.args.length === 3);
  if (!isLoop && !isMap) return undefined;
  const [name, ...bodies] = call.args;
  if (name?.kind !== 'name') throw new ExpressionError(call.at, `${call.name}: want a name for the items`);
  const item = itemType(typeOf(target, scope), call.at);
  const inner = { ...scope, variables: { ...scope.variables, [name.name]: item } };
  const types = bodies.map((body) => typeOf(body, inner));
  const conditions = isMap ? types.slice(0, -1) : types;
  if (!conditions.every((type) => fits(type, 'bool')))
    throw new ExpressionError(call.at, `${call.name}: want a condition`);
  if (isMap) return { list: types.at(-1)! };
  return call.name === 'filter' ? { list: item } : 'bool';
}

function itemType(type: CelType, at: number): CelType {
  if (type === 'dyn') return 'dyn';
  if (typeof type !== 'string' && 'list' in type) return type.list;
  if (typeof type !== 'string' && 'key' in type) return type.key;
  throw new ExpressionError(at, `${typeName(type)} has no items`);
}

/** `optional.of(x)` and `optional.none()`. */
function optionalCall(call: Call, scope: Scope): CelType | undefined {
  if (call.target?.kind !== 'name' || call.target.name !== 'optional') return undefined;
  if (call.name === 'none' && call.args.length === 0) return { optional: 'dyn' };
  if (call.name === 'of' && call.args.length === 1) return { optional: typeOf(call.args[0]!, scope) };
  return undefined;
}

const NUMBERS: readonly ScalarType[] = ['int', 'uint', 'double'];
const ORDERED: readonly ScalarType[] = [...NUMBERS, 'string', 'bytes', 'bool', 'duration', 'timestamp'];

/** Operators of two operands of one type, which their result has, too. */
const ARITHMETIC: Readonly<Record<string, readonly ScalarType[]>> = {
  '+': [...NUMBERS, 'string', 'bytes', 'duration'],
  '-': [...NUMBERS, 'duration'],
  '*': NUMBERS,
  '/': NUMBERS,
  '%': ['int', 'uint'],
};

/** What each type can be made of. */
const CONVERSIONS: Readonly<Record<string, readonly ScalarType[]>> = {
  int: ['int', 'uint', 'double', 'string', 'timestamp', 'duration'],
  uint: ['int', 'uint', 'double', 'string'],
  double: ['int', 'uint', 'double', 'string'],
  string: ['int', 'uint', 'double', 'string', 'bytes', 'bool', 'timestamp', 'duration'],
  bytes: ['bytes', 'string'],
  bool: ['bool', 'string'],
  duration: ['duration', 'string', 'int'],
  timestamp: ['timestamp', 'string', 'int'],
};

function functionResult(name: string, types: readonly CelType[], scope: Scope): CelType | undefined {
  if (types.length === 2) return operatorResult(name, types[0]!, types[1]!) ?? declaredResult(name, types, scope);
  const [first] = types;
  if (name === '?:' && fits(first!, 'bool') && fits(types[1]!, types[2]!)) return joined(types.slice(1));
  if (types.length !== 1 || first === undefined) return declaredResult(name, types, scope);
  if (name === '!') return fits(first, 'bool') ? 'bool' : undefined;
  if (name === 'negate') return first === 'dyn' || first === 'int' || first === 'double' ? first : undefined;
  if (name === 'size') return sizeResult(first);
  if (name === 'type') return 'type';
  if (name === 'dyn') return 'dyn';
  const sources = Object.hasOwn(CONVERSIONS, name) ? CONVERSIONS[name] : undefined;
  if (sources?.some((source) => fits(source, first)) === true) return name as ScalarType;
  return declaredResult(name, types, scope);
}

function declaredResult(name: string, types: readonly CelType[], scope: Scope): CelType | undefined {
  const declared = Object.hasOwn(scope.functions, name) ? scope.functions[name] : undefined;
  if (declared === undefined || declared.parameters.length !== types.length) return undefined;
  return declared.parameters.every((parameter, index) => fits(parameter, types[index]!)) ? declared.result : undefined;
}

function operatorResult(name: string, a: CelType, b: CelType): CelType | undefined {
  if (name === '&&' || name === '||') return fits(a, 'bool') && fits(b, 'bool') ? 'bool' : undefined;
  if (name === '==' || name === '!=') return fits(a, b) ? 'bool' : undefined;
  if (name === 'in') return isIn(a, b) ? 'bool' : undefined;
  if (name === 'matches') return fits(a, 'string') && fits(b, 'string') ? 'bool' : undefined;
  if (['<', '<=', '>', '>='].includes(name)) return commonScalar(a, b, ORDERED) === undefined ? undefined : 'bool';
  const operands = Object.hasOwn(ARITHMETIC, name) ? ARITHMETIC[name] : undefined;
  if (operands === undefined) return undefined;
  return commonScalar(a, b, operands) ?? momentOrList(name, a, b);
}

function commonScalar(a: CelType, b: CelType, among: readonly ScalarType[]): CelType | undefined {
  if (a === 'dyn' && b === 'dyn') return 'dyn';
  return among.find((type) => fits(a, type) && fits(b, type));
}

function momentOrList(name: string, a: CelType, b: CelType): CelType | undefined {
  if (name !== '+' && name !== '-') return undefined;
  if (a === 'timestamp' && b === 'duration') return 'timestamp';
  if (name === '-') return a === 'timestamp' && b === 'timestamp' ? 'duration' : undefined;
  if (a === 'duration' && b === 'timestamp') return 'timestamp';
  const areLists = typeof a !== 'string' && typeof b !== 'string' && 'list' in a && 'list' in b;
  return areLists && fits(a, b) ? a : undefined;
}

function isIn(a: CelType, b: CelType): boolean {
  if (b === 'dyn') return true;
  if (typeof b === 'string') return false;
  if ('list' in b) return fits(a, b.list);
  return 'key' in b && fits(a, b.key);
}

function sizeResult(type: CelType): CelType | undefined {
  const hasSize =
    type === 'dyn' ||
    type === 'string' ||
    type === 'bytes' ||
    (typeof type !== 'string' && ('list' in type || 'key' in type));
  return hasSize ? 'int' : undefined;
}

const PARTS_OF_TIME = ['getFullYear', 'getMonth', 'getDate', 'getDayOfMonth', 'getDayOfWeek', 'getDayOfYear'];
const PARTS_OF_DAY = ['getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'];

function methodResult(name: string, types: readonly CelType[]): CelType | undefined {
  const [target, ...args] = types as [CelType, ...CelType[]];
  if (['startsWith', 'endsWith', 'contains', 'matches'].includes(name))
    return args.length === 1 && fits(target, 'string') && fits(args[0]!, 'string') ? 'bool' : undefined;
  if (name === 'size') return args.length === 0 ? sizeResult(target) : undefined;
  if (PARTS_OF_DAY.includes(name) && args.length === 0 && target === 'duration') return 'int';
  if ([...PARTS_OF_DAY, ...PARTS_OF_TIME].includes(name) && fits(target, 'timestamp'))
    return args.every((argument) => fits(argument, 'string')) && args.length <= 1 ? 'int' : undefined;
  return typeof target !== 'string' && 'optional' in target ? optionalResult(name, target.optional, args) : undefined;
}

function optionalResult(name: string, of: CelType, args: readonly CelType[]): CelType | undefined {
  const [argument] = args;
  if (args.length === 0) return name === 'hasValue' ? 'bool' : name === 'value' ? of : undefined;
  if (args.length !== 1 || argument === undefined) return undefined;
  if (name === 'orValue') return fits(of, argument) ? joined([of, argument]) : undefined;
  return name === 'or' && fits({ optional: of }, argument) ? argument : undefined;
}
