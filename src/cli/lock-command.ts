/** `imager lock`: pins the inputs of builds. */
import { ofText } from '../bytes/bytes.ts';
import { writeToFile } from '../bytes/write.ts';
import { invalid } from '../errors.ts';
import { formatLock, LOCK_LIMIT, type LockedBuild, lockBuild, lockDifferences, parseLock } from '../pipeline/lock.ts';
import { planBuild } from '../pipeline/plan.ts';
import { decodeYamlText } from '../yaml/document.ts';
import { flagsByArchitecture } from './architectures.ts';
import { readBuildRequest, workplaceOf } from './build-request.ts';
import type { Invocation } from './command-line.ts';
import { FLAGS, type FlagValues } from './flags.ts';
import type { Io } from './io.ts';
import { DEFAULT_LOCK_FILE } from './locked.ts';
import { TEMPORARY_SUFFIX } from './output-file.ts';

type LockInvocation = Extract<Invocation, { readonly command: 'lock' }>;

export async function runLock({ profiles, flags, update }: LockInvocation, io: Io): Promise<number> {
  const file = flags.text.get('lock-file') ?? DEFAULT_LOCK_FILE;
  const before = update ? await readLock(file, io) : [];
  if (!update && profiles.length === 0)
    throw invalid('lock: want the profiles to lock, or --update', { hint: 'imager lock iso > imager.lock' });
  const wanted = profiles.length > 0 ? profiles.map((profile) => ({ profile, flags })) : before.map(askedFor(flags));
  const builds: LockedBuild[] = [];
  for (const { profile, flags: given } of wanted) {
    for (const each of profile === '-' ? [given] : flagsByArchitecture(given))
      builds.push(await lockOf(profile, each, io));
  }
  if (!update) {
    io.stdout.write(formatLock(builds));
    return 0;
  }
  const kept = before.filter((one) => !builds.some((build) => isSame(build, one)));
  const text = ofText(formatLock([...kept, ...builds]));
  await writeToFile(io.platform.files, file, text, { temporarySuffix: TEMPORARY_SUFFIX });
  for (const line of differences(before, builds)) io.stderr.write(`${line}\n`);
  return 0;
}

async function lockOf(profile: string, flags: FlagValues, io: Io): Promise<LockedBuild> {
  const { request, warnings } = await readBuildRequest(profile, flags, io);
  const onWarning = (text: string): unknown => io.stderr.write(`warning: ${text}\n`);
  const workplace = await workplaceOf(flags, io, { profile: request.profile, onWarning });
  const plan = await planBuild(workplace, request, { resolve: true });
  for (const warning of [...warnings, ...plan.warnings]) onWarning(warning);
  return lockBuild(profile, inputFlags(flags), plan);
}

async function readLock(file: string, { platform }: Io): Promise<LockedBuild[]> {
  return parseLock(decodeYamlText(await platform.files.read(file, LOCK_LIMIT), file), file);
}

/** How inputs are reached is not what they are. */
const NOT_LOCKED: readonly string[] = ['store', 'offline', 'insecure', 'mirror', 'hosts-dir', 'arch'];

/** Of what names inputs: `--talos-version=v1.13.0`. */
function inputFlags({ text, lists }: FlagValues): string[] {
  const names = FLAGS.filter(
    ({ name, group }) =>
      !NOT_LOCKED.includes(name) &&
      (group === 'inputs' || group === 'image' || /^(?:system-extension|overlay|extension)/.test(name)),
  );
  return names.flatMap(({ name }) => {
    const values = lists.get(name) ?? [text.get(name) ?? []].flat();
    return values.map((value) => `--${name}=${value}`);
  });
}

/** The flags a build was locked with, under those given now. */
function askedFor(now: FlagValues): (build: LockedBuild) => { profile: string; flags: FlagValues } {
  return ({ profile, arch, flags }) => {
    const text = new Map<string, string>([['arch', arch]]);
    const lists = new Map<string, string[]>();
    for (const flag of flags) {
      const [, name = '', value = ''] = /^--([a-z0-9-]+)=(.*)$/s.exec(flag) ?? [];
      const kind = FLAGS.find((known) => known.name === name)?.kind;
      if (kind === 'list') lists.set(name, [...(lists.get(name) ?? []), value]);
      else if (kind === 'text') text.set(name, value);
    }
    return {
      profile,
      flags: {
        text: new Map([...text, ...now.text]),
        lists: new Map([...lists, ...now.lists]),
        switches: now.switches,
      },
    };
  };
}

function isSame(a: LockedBuild, b: LockedBuild): boolean {
  return a.profile === b.profile && a.arch === b.arch;
}

function differences(before: readonly LockedBuild[], after: readonly LockedBuild[]): string[] {
  const lines = after.flatMap((build) => {
    const title = `${build.profile} for ${build.arch}`;
    const old = before.find((one) => isSame(one, build));
    if (old === undefined) return [`${title}: added`];
    const changed = lockDifferences(old, build);
    return changed.length === 0 ? [] : [`${title}:`, ...changed.map((line) => `  ${line}`)];
  });
  return lines.length === 0 ? ['nothing changed'] : lines;
}
