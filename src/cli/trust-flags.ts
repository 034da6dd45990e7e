/** The flags of builds that say whose images may be used. */
import { dirname, resolve } from 'node:path';
import { ImagerError } from '../errors.ts';
import type { TrustSettings } from '../pipeline/verify-image.ts';
import type { Platform } from '../platform/types.ts';
import type { SignaturePolicy } from '../trust/policy.ts';
import type { PolicyFile } from '../trust/policy-file.ts';
import type { TrustRule } from '../trust/rules.ts';
import type { FlagValues } from './flags.ts';

/** A PEM public key is far smaller. */
export const KEY_LIMIT: number = 64 * 1024;

/** Throws `usage`, `invalid-input` for a policy file, `io` for files that are not there. */
export async function trustOf(
  { text, lists }: FlagValues,
  { files }: Pick<Platform, 'files'>,
  onWarning?: (text: string) => void,
): Promise<TrustSettings> {
  const readKey = async (path: string): Promise<string> => new TextDecoder().decode(await files.read(path, KEY_LIMIT));
  const policy = text.get('policy');
  const file = policy === undefined ? undefined : await readPolicyFile(policy, files, readKey);
  for (const warning of file?.warnings ?? []) onWarning?.(warning);
  const allowed = (lists.get('allow-unsigned') ?? []).map(
    (pattern): TrustRule => ({ pattern, demand: { kind: 'unsigned' }, origin: '--allow-unsigned' }),
  );
  const trustedRoot = text.get('trusted-root') ?? file?.trustedRoot;
  return {
    rules: [...(file?.rules ?? []), ...allowed],
    otherwise: await policyForAll(text, readKey),
    ...(trustedRoot === undefined ? {} : { trustedRoot }),
  };
}

/** Paths in it are relative to it. */
async function readPolicyFile(
  path: string,
  files: Platform['files'],
  readKey: (path: string) => Promise<string>,
): Promise<Pick<PolicyFile, 'rules' | 'warnings' | 'trustedRoot'>> {
  const { parsePolicyFile, POLICY_FILE_LIMIT } = await import('../trust/policy-file.ts');
  const { decodeYamlText } = await import('../yaml/document.ts');
  const beside = (name: string): string => resolve(dirname(path), name);
  const document = decodeYamlText(await files.read(path, POLICY_FILE_LIMIT), path);
  const { rules, warnings, trustedRoot } = await parsePolicyFile(document, path, (key) => readKey(beside(key)));
  return { rules, warnings, ...(trustedRoot === undefined ? {} : { trustedRoot: beside(trustedRoot) }) };
}

async function policyForAll(
  text: FlagValues['text'],
  readKey: (path: string) => Promise<string>,
): Promise<SignaturePolicy[]> {
  const identity = {
    ...given(text, 'verify-identity', 'subject'),
    ...given(text, 'verify-identity-regexp', 'subjectRegExp'),
    ...given(text, 'verify-issuer', 'issuer'),
    ...given(text, 'verify-issuer-regexp', 'issuerRegExp'),
  };
  const wantsIdentity = Object.keys(identity).length > 0;
  const key = text.get('verify-key');
  if (key === undefined && !wantsIdentity) return [];
  if (key !== undefined && wantsIdentity) {
    throw new ImagerError('usage', 'flags --verify-key and --verify-identity: want one of them, or a --policy');
  }
  const policy: SignaturePolicy =
    key === undefined ? { kind: 'keyless', ...identity } : { kind: 'key', publicKeyPem: await readKey(key) };
  // What cannot be asked is said before anything is fetched.
  (await import('../trust/compile-policy.ts')).compilePolicy(policy);
  return [policy];
}

function given(text: FlagValues['text'], flag: string, field: string): Readonly<Record<string, string>> {
  const value = text.get(flag);
  return value === undefined ? {} : { [field]: value };
}
