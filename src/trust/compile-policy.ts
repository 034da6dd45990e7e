/** A policy made ready: expressions compiled, the key read, defaults filled in. */
import { crypto } from '@sigstore/core';
import { RE2JS } from 're2js';
import { ImagerError, invalid } from '../errors.ts';
import { type Requirement, SIGN_PREDICATE, type SignatureHash, type SignaturePolicy } from './policy.ts';

/** A key of the libraries of this folder. */
export type PublicKey = ReturnType<typeof crypto.createPublicKey>;

/** Says whether a text is wanted. */
export interface TextRule {
  /** In words, for messages. */
  readonly wanted: string;
  matches(text: string): boolean;
}

/** A policy that was looked at once: expressions compiled, key read, defaults filled in. */
export interface CompiledPolicy {
  readonly transparencyLog: Requirement;
  readonly timestamp: Requirement;
  readonly annotations: Readonly<Record<string, string>>;
  readonly requireReference?: string;
  readonly predicateType: string;
  readonly signer:
    | { readonly kind: 'keyless'; readonly subject: TextRule; readonly issuer: TextRule; readonly sct: Requirement }
    | { readonly kind: 'key'; readonly key: PublicKey; readonly hash: SignatureHash };
  /** What works but is rarely meant. */
  readonly warnings: readonly string[];
}

/** Shorter ones are within reach of attackers (NIST SP 800-131A). */
const MIN_RSA_BITS = 2048;

const HASHES: readonly string[] = ['sha256', 'sha384', 'sha512'];

/** Throws `invalid-input` for what cannot be asked: an expression that is no RE2, a key that is none or too short, an identity without a side. */
export function compilePolicy(policy: SignaturePolicy): CompiledPolicy {
  const common = {
    timestamp: policy.timestamp ?? 'ignore',
    annotations: policy.annotations ?? {},
    ...(policy.requireReference === undefined ? {} : { requireReference: policy.requireReference }),
    predicateType: policy.predicateType ?? SIGN_PREDICATE,
  } as const;
  if (policy.kind === 'key') {
    const hash = policy.hash ?? 'sha256';
    if (!HASHES.includes(hash)) throw invalid(`signature hash "${hash}": want one of ${HASHES.join(', ')}`);
    return {
      ...common,
      transparencyLog: policy.transparencyLog ?? 'ignore',
      signer: { kind: 'key', key: publicKey(policy.publicKeyPem), hash },
      warnings: [],
    };
  }
  const subject = textRule('subject', policy.subject, policy.subjectRegExp);
  const issuer = textRule('issuer', policy.issuer, policy.issuerRegExp);
  return {
    ...common,
    transparencyLog: policy.transparencyLog ?? 'require',
    signer: { kind: 'keyless', subject: subject.rule, issuer: issuer.rule, sct: policy.sct ?? 'require' },
    warnings: [...subject.warnings, ...issuer.warnings],
  };
}

function textRule(
  what: string,
  exact: string | undefined,
  expression: string | undefined,
): { rule: TextRule; warnings: string[] } {
  const rules: TextRule[] = [];
  if (exact !== undefined && exact !== '') {
    rules.push({ wanted: JSON.stringify(exact), matches: (text) => text === exact });
  }
  if (expression !== undefined && expression !== '') rules.push(expressionRule(what, expression));
  if (rules.length === 0) {
    throw invalid(`identity without ${what}: want the ${what} or an expression for it`, {
      hint: 'the expression .* says that any will do',
    });
  }
  return {
    rule: {
      wanted: rules.map(({ wanted }) => wanted).join(' and '),
      matches: (text) => rules.every((rule) => rule.matches(text)),
    },
    warnings: expression === undefined || expression === '' ? [] : expressionWarnings(what, expression),
  };
}

/** RE2 as cosign's: it searches, and takes time linear in the text, which an attacker chooses. */
function expressionRule(what: string, expression: string): TextRule {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(expression);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^error parsing regexp: /, '') : 'not readable';
    throw invalid(`${what} expression ${JSON.stringify(expression)}: ${reason}`, {
      cause,
      hint: 'the syntax is RE2, without look-around and back references',
    });
  }
  return { wanted: `/${expression}/`, matches: (text) => compiled.matcher(text).find() };
}

function expressionWarnings(what: string, expression: string): string[] {
  if (expression === '.*' || expression === '.+') return [];
  const said = `${what} expression ${JSON.stringify(expression)}`;
  const warnings: string[] = [];
  if (!/(?:\$|\\z)\)*$/.test(expression)) warnings.push(`${said} has no $ at its end: it also matches longer texts`);
  if (/(?:^|[^\\])[A-Za-z0-9]\.[a-z]{2,}(?:[/$)]|$)/.test(expression)) {
    warnings.push(`${said} has a dot that stands for any character: a literal one is written \\.`);
  }
  return warnings;
}

function publicKey(pem: string): PublicKey {
  const text = pem.trim();
  const label = /^-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1];
  if (label !== 'PUBLIC KEY' && label !== 'RSA PUBLIC KEY') {
    throw invalid(`verification key: ${label === undefined ? 'no PEM' : `a PEM ${label}`}, want a PEM PUBLIC KEY`);
  }
  let key: PublicKey;
  try {
    key = crypto.createPublicKey(text);
  } catch (cause) {
    throw invalid('verification key: a PEM PUBLIC KEY that cannot be read', { cause });
  }
  const kind = key.asymmetricKeyType;
  if (kind !== 'ec' && kind !== 'rsa' && kind !== 'ed25519') {
    throw new ImagerError('unsupported', `verification key of kind ${kind}: want ECDSA, RSA or Ed25519`);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw invalid(`verification key: RSA of ${bits} bits, want at least ${MIN_RSA_BITS}`);
  }
  return key;
}
