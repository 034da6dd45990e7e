/** The root of the public Sigstore instance, as the library that follows it ships it. */
import seeds from '@sigstore/tuf/seeds.json' with { type: 'json' };
import { parseTrustedRoot, type TrustedRoot } from './trusted-root.ts';
import { PUBLIC_GOOD_URL } from './tuf-url.ts';

/** When the library was published, and which release of it: the seeds say nothing about their age. */
export const PUBLIC_GOOD_RELEASE = { version: '5.0.1', date: '2026-11-05' } as const;

/** Where a root comes from, and how old it is. */
export interface RootOrigin {
  /** In words, without what changes by the day. */
  readonly origin: string;
  /** When it was fetched from its repository, or published with this program, seconds since 1970. */
  readonly date: number;
  /** Before which whoever publishes it promised a newer one, seconds since 1970. */
  readonly expires: number;
}

export function publicGoodOrigin(): RootOrigin {
  const { version, expires } = JSON.parse(new TextDecoder().decode(publicGoodTufRoot())).signed;
  const { date } = PUBLIC_GOOD_RELEASE;
  return {
    origin: `built in, of the public Sigstore instance, version ${version} of ${date} (to be renewed before ${expires.slice(0, 10)})`,
    date: Date.parse(date) / 1000,
    expires: Date.parse(expires) / 1000,
  };
}

/** Works without a network; what was added to the instance since then is found by refreshing it. */
export function publicGoodRoot(): TrustedRoot {
  return parseTrustedRoot(publicGoodDocument(), publicGoodOrigin().origin);
}

/** The same as a file for other tools: `trusted_root.json`. */
export function publicGoodDocument(): string {
  return decode(seeds[PUBLIC_GOOD_URL].targets['trusted_root.json']).toString('utf8');
}

/** What its TUF repository is followed from: a `root.json`. */
export function publicGoodTufRoot(): Uint8Array {
  return decode(seeds[PUBLIC_GOOD_URL]['root.json']);
}

function decode(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
