/** The flags of builds that say whose images may be used. */
import { dirname, resolve } from 'node:path';
import { ImagerError } from '../errors.ts';
import type { TrustSettings } from '../pipeline/verify-image.ts';
import type { Platform } from '../platform/types.ts';
import type { SignaturePolicy } from '../trust/policy.ts';
import type { PolicyFile } from '../trust/policy-file.ts';
import type { TrustRule } from '../trust/rules.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { rootFinderOf } from './root-source.ts';

/** A PEM public key is far smaller. */
export const KEY_LIMIT: number = 64 * 1024;

/** What `trustOf` may be told besides the flags. */
export interface TrustOptions {
  /** The policy file that counts where no flag names one; empty for none. */
  readonly policy?: string | undefined;
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** Throws `usage`, `invalid-input` for a policy file, `io` for files that are not there. */
export async function trustOf(
  { text, lists, switches }: FlagValues,
  io: Pick<Io, 'platform' | 'signal' | 'now'>,
  { policy: named = '', onWarning }: TrustOptions = {},
): Promise<TrustSettings> {
  const { files } = io.platform;
  const readKey = async (path: string): Promise<string> => new TextDecoder().decode(await files.read(path, KEY_LIMIT));
  const policy = text.get('policy') ?? (named === '' ? undefined : named);
  const file = policy === undefined ? undefined : await readPolicyFile(policy, files, readKey);
  for (const warning of file?.warnings ?? []) onWarning?.(warning);
  const allowed = (lists.get('allow-unsigned') ?? []).map(
    (pattern): TrustRule => ({ pattern, demand: { kind: 'unsigned' }, origin: '--allow-unsigned' }),
  );
  const trustedRoot = text.get('trusted-root') ?? file?.trustedRoot;
  const common = { rules: [...(file?.rules ?? []), ...allowed], otherwise: await policyForAll(text, readKey) };
  if (trustedRoot !== undefined) return { ...common, trustedRoot };
  const place = { tufUrl: text.get('tuf-url'), tufRoot: text.get('tuf-root'), store: text.get('store') };
  return { ...common, root: await rootFinderOf(place, switches.has('offline'), io) };
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
