/**
 * The policy file: which images must be signed by whom.
 *
 *     rules:
 *       - pattern: registry.example/team/*
 *         identities:
 *           - subjectRegExp: '@example\.com$'
 *             issuer: https://accounts.example.com
 *       - pattern: registry.example/tools/*
 *         keys: [tools.pub]
 *       - pattern: registry.example/scratch/*
 *         allowUnsigned: true
 *     trustedRoot: root.json
 */
import { ImagerError, invalid } from '../errors.ts';
import { decodeObject, type Located, problemOf } from '../machineconfig/decode.ts';
import { type EnumType, type FieldType, type ObjectType, object } from '../machineconfig/field-types.ts';
import { type Problem, problemLine, problemsError } from '../yaml/diagnostic.ts';
import { readFirstDocument } from '../yaml/document.ts';
import { compilePolicy } from './compile-policy.ts';
import type { Requirement, SignatureHash, SignaturePolicy } from './policy.ts';
import type { Demand, TrustRule } from './rules.ts';

/** Far above any policy, bytes. */
export const POLICY_FILE_LIMIT: number = 1 << 20;

export interface PolicyFile {
  readonly rules: readonly TrustRule[];
  /** As written: a path relative to the policy file. */
  readonly trustedRoot?: string;
  /** What is allowed and yet seldom meant, each with its place. */
  readonly warnings: readonly string[];
}

const STRING = { kind: 'string' } as const satisfies FieldType;
const REQUIREMENT: EnumType = { kind: 'enum', name: 'requirement', values: { require: 1, ignore: 2 } };
const HASH: EnumType = { kind: 'enum', name: 'hash', values: { sha256: 1, sha384: 2, sha512: 3 } };

const RULE: ObjectType = object({
  pattern: STRING,
  identities: {
    kind: 'list',
    of: object({ subject: STRING, subjectRegExp: STRING, issuer: STRING, issuerRegExp: STRING }),
  },
  keys: { kind: 'list', of: STRING },
  hash: HASH,
  allowUnsigned: { kind: 'boolean' },
  transparencyLog: REQUIREMENT,
  timestamp: REQUIREMENT,
  sct: REQUIREMENT,
  annotations: { kind: 'string-map' },
});

const POLICY: ObjectType = object({ rules: { kind: 'list', of: RULE }, trustedRoot: STRING });

/**
 * `readKey` gives the PEM behind a path. Expressions that match more than they seem to are warned of (spec factory-and-signatures I4). Throws `invalid-input` with all mistakes, each with line and column: unknown keys, a rule without a
 * demand or with two that exclude each other, expressions and keys that cannot be used; what `readKey` throws.
 */
export async function parsePolicyFile(
  text: string,
  file: string,
  readKey: (path: string) => Promise<string>,
): Promise<PolicyFile> {
  const { source, document, problems: broken } = readFirstDocument(text, { file });
  if (broken.length > 0) throw problemsError(source, broken);
  if (document === undefined) throw invalid(`${file}: empty, want a policy with rules`);
  const problems: Problem[] = [];
  const { fields } = decodeObject(document, POLICY, { foreignNames: {} }, problems);
  const rules: TrustRule[] = [];
  for (const rule of listOf(fields.get('rules'))) {
    const found = await ruleOf(rule, file, readKey, problems);
    if (found !== undefined) rules.push(found);
  }
  if (problems.some(({ severity }) => severity === 'error')) throw problemsError(source, problems);
  const warnings = problems.map((problem) => problemLine(source, problem));
  const trustedRoot = fields.get('trustedRoot')?.value as string | undefined;
  return { rules, warnings, ...(trustedRoot === undefined ? {} : { trustedRoot }) };
}

async function ruleOf(
  rule: Located,
  file: string,
  readKey: (path: string) => Promise<string>,
  problems: Problem[],
): Promise<TrustRule | undefined> {
  if (rule.node.kind !== 'mapping') return undefined;
  const pattern = fieldOf<string>(rule, 'pattern');
  const demand = await demandOf(rule, readKey, problems);
  if (pattern === undefined || pattern === '') {
    problems.push(problemOf(rule, 'pattern is missing: want registry/repository, like registry.example/team/*'));
    return undefined;
  }
  if (!pattern.includes('/') && !pattern.startsWith('*')) {
    problems.push(problemOf(member(rule, 'pattern') ?? rule, 'want registry/repository, like registry.example/team/*'));
  }
  const origin = `${file}:${rule.node.position.line}`;
  return demand === undefined ? undefined : { pattern, demand, origin };
}

async function demandOf(
  rule: Located,
  readKey: (path: string) => Promise<string>,
  problems: Problem[],
): Promise<Demand | undefined> {
  const identities = listOf(member(rule, 'identities'));
  const keys = listOf(member(rule, 'keys'));
  const isSigned = identities.length + keys.length > 0;
  const allowsUnsigned = fieldOf<boolean>(rule, 'allowUnsigned') === true;
  if (isSigned === allowsUnsigned) {
    const wish = 'want identities, keys or allowUnsigned: true';
    problems.push(problemOf(rule, isSigned ? `both signed and unsigned: ${wish}` : `demands nothing: ${wish}`));
    return undefined;
  }
  if (allowsUnsigned) return { kind: 'unsigned' };
  const by: SignaturePolicy[] = [];
  for (const identity of identities) {
    const policy: SignaturePolicy = {
      kind: 'keyless',
      ...textMember(identity, 'subject'),
      ...textMember(identity, 'subjectRegExp'),
      ...textMember(identity, 'issuer'),
      ...textMember(identity, 'issuerRegExp'),
      ...settings(rule),
      ...textMember<Requirement>(rule, 'sct'),
    };
    if (isUsable(policy, identity, problems)) by.push(policy);
  }
  for (const key of keys) {
    const text = String(key.value ?? '');
    const publicKeyPem = text.includes('-----BEGIN') ? text : await readKey(text);
    const policy = {
      kind: 'key',
      publicKeyPem,
      ...settings(rule),
      ...textMember<SignatureHash>(rule, 'hash'),
    } as const;
    if (isUsable(policy, key, problems)) by.push(policy);
  }
  return { kind: 'signed', by };
}

function isUsable(policy: SignaturePolicy, at: Located, problems: Problem[]): boolean {
  try {
    for (const warning of compilePolicy(policy).warnings) {
      problems.push(problemOf(at, warning, { severity: 'warning' }));
    }
    return true;
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    problems.push(problemOf(at, error.message, { hint: error.hint }));
    return false;
  }
}

function settings(rule: Located): Pick<SignaturePolicy, 'transparencyLog' | 'timestamp' | 'annotations'> {
  const annotations = member(rule, 'annotations')?.value as ReadonlyMap<string, Located> | undefined;
  return {
    ...textMember<Requirement>(rule, 'transparencyLog'),
    ...textMember<Requirement>(rule, 'timestamp'),
    ...(annotations === undefined
      ? {}
      : { annotations: Object.fromEntries([...annotations].map(([name, { value }]) => [name, String(value)])) }),
  };
}

function textMember<Text extends string, Name extends string = string>(
  located: Located,
  name: Name,
): { readonly [Key in Name]?: Text } {
  const value = fieldOf<Text>(located, name);
  return (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Text };
}

function fieldOf<Value>(located: Located, name: string): Value | undefined {
  return member(located, name)?.value as Value | undefined;
}

function member(located: Located, name: string): Located | undefined {
  return located.value instanceof Map ? located.value.get(name) : undefined;
}

function listOf(located: Located | undefined): readonly Located[] {
  return Array.isArray(located?.value) ? located.value : [];
}
