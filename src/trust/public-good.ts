/** The root of the public Sigstore instance, as the library that follows it ships it. */
import seeds from '@sigstore/tuf/seeds.json' with { type: 'json' };
import { parseTrustedRoot, type TrustedRoot } from './trusted-root.ts';

const MIRROR = 'https://tuf-repo-cdn.sigstore.dev';

/** Works without a network; what was added to the instance since then is found by refreshing it. */
export function publicGoodRoot(): TrustedRoot {
  const { signed } = JSON.parse(decode(seeds[MIRROR]['root.json']));
  return parseTrustedRoot(
    publicGoodDocument(),
    `built in, of the public Sigstore instance, version ${signed.version} (to be renewed before ${signed.expires.slice(0, 10)})`,
  );
}

/** The same as a file for other tools: `trusted_root.json`. */
export function publicGoodDocument(): string {
  return decode(seeds[MIRROR].targets['trusted_root.json']);
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
