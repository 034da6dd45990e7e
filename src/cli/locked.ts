/** `--locked`: builds held to what `imager lock` wrote. */
import type { Plan } from '../pipeline/plan.ts';
import type { FlagValues } from './flags.ts';
import type { Io } from './io.ts';

export const DEFAULT_LOCK_FILE = 'imager.lock';

/** Before anything of the build is fetched. Nothing without `--locked`; throws `verification` naming what moved, `io` for a lock that is not there. */
export async function checkLocked(profile: string, flags: FlagValues, plan: Plan, io: Io): Promise<void> {
  if (!flags.switches.has('locked')) return;
  const { findLocked, LOCK_LIMIT, lockBuild, parseLock, requireLocked } = await import('../pipeline/lock.ts');
  const { decodeYamlText } = await import('../yaml/document.ts');
  const file = flags.text.get('lock-file') ?? DEFAULT_LOCK_FILE;
  const builds = parseLock(decodeYamlText(await io.platform.files.read(file, LOCK_LIMIT), file), file);
  const locked = findLocked(builds, profile, plan.profile.arch, file);
  requireLocked(locked, lockBuild(profile, locked.flags, plan), file);
}
