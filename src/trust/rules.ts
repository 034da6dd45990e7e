/** Which images must be signed by whom: patterns of names, the most specific of which counts. */
import type { SignaturePolicy } from './policy.ts';
import { canonicalRegistry } from './registry-name.ts';
import { VENDOR_PATTERN, VENDOR_POLICY } from './vendor.ts';

/** What images of some name have to show. */
export type Demand =
  /** One signature that satisfies one of the policies. */
  | { readonly kind: 'signed'; readonly by: readonly SignaturePolicy[] }
  /** Nothing. */
  | { readonly kind: 'unsigned' };

export interface TrustRule {
  /** Of `registry/repository`; `*` stands for any run of characters, `/` among them. Docker Hub is `docker.io`, or any other of its names. */
  readonly pattern: string;
  readonly demand: Demand;
  /** What gave the rule, for messages: a file with its line, a flag. */
  readonly origin: string;
}

/** What is demanded of a name, and why. */
export interface Ruling {
  readonly demand: Demand | { readonly kind: 'unknown' };
  /** `ghcr.io/siderolabs/* (built in)`. */
  readonly because: string;
  /** Said of images that are used unverified although nobody said so. */
  readonly warning?: string;
}

export const BUILT_IN_RULES: readonly TrustRule[] = [
  { pattern: VENDOR_PATTERN, demand: { kind: 'signed', by: [VENDOR_POLICY] }, origin: 'built in' },
];

/** Names of this machine: what serves there is the user's own. */
const LOOPBACK = /^(?:localhost|[a-z0-9.-]+\.localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?$/;

/** `registry/repository` as patterns have it. */
export function nameForRules({
  registry,
  repository,
}: {
  readonly registry: string;
  readonly repository: string;
}): string {
  return canonicalName(registry, repository);
}

/** Docker Hub has the images that have no owner below `library`. */
function canonicalName(host: string, path: string): string {
  const registry = canonicalRegistry(host);
  const isOwnerless = registry === 'docker.io' && !/[/*]/.test(path);
  return `${registry}/${isOwnerless ? `library/${path}` : path}`;
}

/** A pattern whose registry is written out means that registry by whichever name. */
function canonicalPattern(pattern: string): string {
  const slash = pattern.indexOf('/');
  const host = pattern.slice(0, Math.max(slash, 0));
  return slash < 0 || host.includes('*') ? pattern : canonicalName(host, pattern.slice(slash + 1));
}

/**
 * The rule with the most literal characters decides, of equals the later one. Names without a rule are held to `otherwise` (what flags demand of
 * all images), else to nothing on this machine's own registries, else they are not known to be trusted.
 */
export function rulingFor(
  name: string,
  rules: readonly TrustRule[],
  otherwise: readonly SignaturePolicy[] = [],
): Ruling {
  let best: { readonly rule: TrustRule; readonly weight: number } | undefined;
  for (const rule of [...BUILT_IN_RULES, ...rules]) {
    const pattern = canonicalPattern(rule.pattern);
    const weight = weightOf(pattern);
    if (matchesPattern(name, pattern) && (best === undefined || weight >= best.weight)) best = { rule, weight };
  }
  if (best !== undefined) return { demand: best.rule.demand, because: `${best.rule.pattern} (${best.rule.origin})` };
  if (otherwise.length > 0) return { demand: { kind: 'signed', by: otherwise }, because: 'flags for all images' };
  if (LOOPBACK.test(name.slice(0, name.indexOf('/')))) {
    return {
      demand: { kind: 'unsigned' },
      because: 'a registry of this machine',
      warning: `${name}: not verified, no rule says who must have signed it`,
    };
  }
  return { demand: { kind: 'unknown' }, because: 'no rule' };
}

function weightOf(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

/** In time linear in both: the pieces between stars are looked for one after the other. */
export function matchesPattern(name: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let position = first.length;
  for (const piece of rest) {
    const found = name.indexOf(piece, position);
    if (found < 0) return false;
    position = found + piece.length;
  }
  return name.length - last.length >= position && name.endsWith(last);
}
