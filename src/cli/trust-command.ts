/** `imager trust refresh`: the trusted root fetched now, where there is a network. */
import { daysBetween, refreshRoot } from '../pipeline/trusted-root.ts';
import type { Io } from './io.ts';
import type { TrustRefreshFlags } from './root-flags.ts';
import { rootWishes } from './root-source.ts';

export async function runTrustRefresh(flags: TrustRefreshFlags, io: Io): Promise<number> {
  const wishes = await rootWishes(flags, flags.offline === true, io);
  const { origin, date, expires, warnings } = await refreshRoot(wishes);
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  const days = daysBetween(wishes.now, expires);
  io.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ trustedRoot: origin, fetched: date, expires }, null, 2)}\n`
      : `trusted root ${origin}: good for ${days} days\n`,
  );
  return 0;
}
