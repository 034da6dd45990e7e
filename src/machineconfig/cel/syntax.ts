/** CEL expressions as text to trees. Source: the language definition of CEL, chapter "Syntax". */

export type Expression =
  | { readonly kind: 'literal'; readonly type: LiteralType; readonly at: number }
  | { readonly kind: 'name'; readonly name: string; readonly at: number }
  | { readonly kind: 'select'; readonly of: Expression; readonly field: string; readonly at: number }
  | { readonly kind: 'index'; readonly of: Expression; readonly key: Expression; readonly at: number }
  | {
      readonly kind: 'call';
      /** Absent for a function, the value for a method. */
      readonly target?: Expression;
      readonly name: string;
      readonly args: readonly Expression[];
      readonly at: number;
    }
  | { readonly kind: 'list'; readonly items: readonly Expression[]; readonly at: number }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Expression, Expression])[]; readonly at: number };

export type LiteralType = 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'bool' | 'null';

/** What is wrong, and the character (from 0) it is wrong at. */
export class ExpressionError {
  readonly at: number;
  readonly message: string;

  constructor(at: number, message: string) {
    this.at = at;
    this.message = message;
  }
}

interface Token {
  readonly kind: LiteralType | 'name' | 'mark' | 'end';
  readonly text: string;
  readonly at: number;
}

/** Longer expressions and deeper ones mean nothing to a person. */
const MAX_LENGTH = 100_000;
const MAX_DEPTH = 100;
/** Operators and selections need no brackets to nest: each has all before it as its operand. */
const MAX_CHAINED = 1000;

const TOKEN =
  /(?<space>\s+|\/\/[^\n]*)|(?<text>[rR]?[bB]?[rR]?(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'))|(?<double>[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)|(?<number>0x[0-9a-fA-F]+|[0-9]+)(?<unsigned>[uU]?)|(?<name>[A-Za-z_][A-Za-z0-9_]*)|(?<mark>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()[\]{}])/y;

/** Words of other languages that no name may be. */
const RESERVED = new Set(
  'as break const continue else for function if import let loop package namespace return var void while in'.split(' '),
);

/** Throws `ExpressionError`. */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_LENGTH) throw new ExpressionError(0, `${text.length} characters: want at most ${MAX_LENGTH}`);
  const parser: Parser = { tokens: tokensOf(text), next: 0, depth: 0, chained: 0 };
  const expression = conditional(parser);
  if (peek(parser).kind !== 'end') throw unexpected(peek(parser));
  return expression;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw new ExpressionError(at, `unexpected ${JSON.stringify(text[at])}`);
    const token = tokenOf(match, at);
    if (token !== undefined) tokens.push(token);
    at += match[0].length;
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

function tokenOf(match: RegExpExecArray, at: number): Token | undefined {
  const { space, text, double, number, unsigned, name } = match.groups ?? {};
  const whole = match[0];
  if (space !== undefined) return undefined;
  if (text !== undefined) return { kind: /^[rR]?[bB]/.test(text) ? 'bytes' : 'string', text: whole, at };
  if (double !== undefined) return { kind: 'double', text: whole, at };
  if (number !== undefined) return numberToken(number, unsigned !== '', at);
  if (name === undefined) return { kind: 'mark', text: whole, at };
  if (name === 'true' || name === 'false') return { kind: 'bool', text: whole, at };
  return { kind: name === 'null' ? 'null' : name === 'in' ? 'mark' : 'name', text: whole, at };
}

function numberToken(digits: string, isUnsigned: boolean, at: number): Token {
  const isInRange = digits.length <= 20 && BigInt(digits) < (isUnsigned ? 2n ** 64n : 2n ** 63n + 1n);
  if (!isInRange) throw new ExpressionError(at, `${digits.slice(0, 30)}: want a number of 64 bits`);
  return { kind: isUnsigned ? 'uint' : 'int', text: digits, at };
}

interface Parser {
  readonly tokens: readonly Token[];
  next: number;
  depth: number;
  chained: number;
}

function peek(parser: Parser): Token {
  return parser.tokens[parser.next]!;
}

function take(parser: Parser): Token {
  return parser.tokens[parser.next++]!;
}

function isMark(parser: Parser, ...marks: readonly string[]): boolean {
  const { kind, text } = peek(parser);
  return kind === 'mark' && marks.includes(text);
}

function skip(parser: Parser, mark: string): boolean {
  if (!isMark(parser, mark)) return false;
  parser.next++;
  return true;
}

function expect(parser: Parser, mark: string): void {
  if (!skip(parser, mark)) throw unexpected(peek(parser), mark);
}

function unexpected(token: Token, wish?: string): ExpressionError {
  const what = token.kind === 'end' ? 'the end' : JSON.stringify(token.text.slice(0, 30));
  return new ExpressionError(
    token.at,
    `unexpected ${what}${wish === undefined ? '' : `: want ${JSON.stringify(wish)}`}`,
  );
}

function conditional(parser: Parser): Expression {
  if (++parser.depth > MAX_DEPTH) throw new ExpressionError(peek(parser).at, `more than ${MAX_DEPTH} levels`);
  const condition = binary(parser, 0);
  const { at } = peek(parser);
  let expression = condition;
  if (skip(parser, '?')) {
    const yes = binary(parser, 0);
    expect(parser, ':');
    expression = { kind: 'call', name: '?:', args: [condition, yes, conditional(parser)], at };
  }
  parser.depth--;
  return expression;
}

/** Loosest first. */
const OPERATORS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['<', '<=', '>=', '>', '==', '!=', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
];

function binary(parser: Parser, level: number): Expression {
  const operators = OPERATORS[level];
  if (operators === undefined) return unary(parser);
  let left = binary(parser, level + 1);
  while (isMark(parser, ...operators)) {
    chain(parser);
    const { text, at } = take(parser);
    left = { kind: 'call', name: text, args: [left, binary(parser, level + 1)], at };
  }
  return left;
}

function unary(parser: Parser): Expression {
  if (!isMark(parser, '!', '-')) return member(parser);
  if (++parser.depth > MAX_DEPTH) throw new ExpressionError(peek(parser).at, `more than ${MAX_DEPTH} levels`);
  const { text, at } = take(parser);
  const expression: Expression = { kind: 'call', name: text === '-' ? 'negate' : '!', args: [unary(parser)], at };
  parser.depth--;
  return expression;
}

function member(parser: Parser): Expression {
  let expression = primary(parser);
  for (; isMark(parser, '.', '['); chain(parser)) {
    const { at } = peek(parser);
    if (skip(parser, '.')) {
      const name = take(parser);
      if (name.kind !== 'name') throw unexpected(name, 'name');
      expression = isMark(parser, '(')
        ? { kind: 'call', target: expression, name: name.text, args: args(parser), at }
        : { kind: 'select', of: expression, field: name.text, at };
    } else {
      expect(parser, '[');
      const key = conditional(parser);
      expect(parser, ']');
      expression = { kind: 'index', of: expression, key, at };
    }
  }
  return expression;
}

function chain(parser: Parser): void {
  if (++parser.chained > MAX_CHAINED)
    throw new ExpressionError(peek(parser).at, `more than ${MAX_CHAINED} operators and selections`);
}

function args(parser: Parser): readonly Expression[] {
  expect(parser, '(');
  return listUntil(parser, ')', conditional);
}

/** Items with `,` between; one may follow the last, except of arguments. */
function listUntil<Item>(parser: Parser, end: string, read: (parser: Parser) => Item): readonly Item[] {
  const items: Item[] = [];
  if (skip(parser, end)) return items;
  do {
    if (items.length > 0 && end !== ')' && isMark(parser, end)) break;
    items.push(read(parser));
  } while (skip(parser, ','));
  expect(parser, end);
  return items;
}

function primary(parser: Parser): Expression {
  const token = take(parser);
  const { kind, text, at } = token;
  if (kind === 'name') {
    if (RESERVED.has(text)) throw unexpected(token);
    return isMark(parser, '(')
      ? { kind: 'call', name: text, args: args(parser), at }
      : { kind: 'name', name: text, at };
  }
  if (kind === 'mark') return bracketed(parser, token);
  if (kind === 'end') throw unexpected(token);
  return { kind: 'literal', type: kind, at };
}

function bracketed(parser: Parser, token: Token): Expression {
  const { text, at } = token;
  if (text === '(') {
    const expression = conditional(parser);
    expect(parser, ')');
    return expression;
  }
  if (text === '[') return { kind: 'list', items: listUntil(parser, ']', conditional), at };
  if (text === '{') return { kind: 'map', entries: listUntil(parser, '}', entry), at };
  throw unexpected(token);
}

function entry(parser: Parser): readonly [Expression, Expression] {
  const key = conditional(parser);
  expect(parser, ':');
  return [key, conditional(parser)];
}
