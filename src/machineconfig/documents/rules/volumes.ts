/** Disks, volumes and what lies on them. */
import type { Located, LocatedObject } from '../../decode.ts';
import { booleanOf, inner, integerOf, isSet, items, object, type Report, textOf } from '../../located.ts';
import { parseByteSize, parsePercentage } from '../formats.ts';
import { NO_LIMIT, numberMust, type Rule, TEN_SECONDS, textMust } from './rule.ts';

const volumeName = textMust(
  'name',
  (name) => /^[A-Za-z0-9-]{1,34}$/.test(name),
  'a name of 1..34 letters, digits and hyphens',
);

function namePattern(pattern: RegExp, wish: string): Rule {
  return textMust('name', (name) => pattern.test(name), wish);
}

/** A place on a disk: selected, and of some size. */
const diskSpace: Rule = (volume, report) => {
  const provisioning = object(volume, 'provisioning');
  selected(volume, report);
  if (!isSet(provisioning, 'minSize') && !isSet(provisioning, 'maxSize'))
    report(provisioning ?? volume, 'provisioning: want minSize or maxSize');
};

function selected(volume: LocatedObject, report: Report): void {
  const selector = inner(volume, 'provisioning', 'diskSelector');
  if (!isSet(selector, 'match'))
    report(selector ?? object(volume, 'provisioning') ?? volume, 'provisioning.diskSelector.match: not set');
}

/** Sizes that contradict each other; percentages are of a disk nobody knows yet. */
const sizes: Rule = (volume, report) => {
  const provisioning = object(volume, 'provisioning');
  if (provisioning === undefined) return;
  const [least, most] = ['minSize', 'maxSize'].map((name) => provisioning.fields.get(name));
  const [min, max] = [bytesOf(least), bytesOf(most)];
  if (min !== undefined && min < 0) report(least!, 'want a size that is not negative');
  else if (min !== undefined && max !== undefined && max !== 0 && min > max && max >= 0)
    report(least!, 'want at most maxSize');
};

function bytesOf(located: Located | undefined): number | undefined {
  const text = typeof located?.value === 'string' ? located.value : '';
  return text === '' ? undefined : parseByteSize(text);
}

const userVolume: Rule = (volume, report, context) => {
  const kind = textOf(volume, 'volumeType') ?? 'partition';
  const provisioning = object(volume, 'provisioning');
  const isSized = ['minSize', 'maxSize', 'grow'].some((name) => provisioning?.fields.has(name) === true);
  if (kind === 'partition') diskSpace(volume, report, context);
  else if (kind === 'disk') {
    selected(volume, report);
    if (isSized) report(provisioning!, 'minSize, maxSize, grow: not for a whole disk');
  } else if (kind === 'directory') {
    for (const name of ['provisioning', 'filesystem', 'encryption']) {
      if (isSet(volume, name)) report(volume.fields.get(name)!, `${name}: not for a directory`);
    }
  } else report(volume.fields.get('volumeType')!, `${kind}: want partition, disk or directory`);
  filesystem(volume, report, context);
};

const filesystem: Rule = (volume, report) => {
  const settings = object(volume, 'filesystem');
  const type = textOf(settings ?? volume, 'type') ?? 'xfs';
  if (settings === undefined) return;
  if (!['xfs', 'ext4', 'btrfs', 'none'].includes(type))
    report(settings.fields.get('type')!, `${type}: want xfs, ext4, btrfs or none`);
  if (type === 'xfs') return;
  if (booleanOf(settings, 'projectQuotaSupport') === true)
    report(settings.fields.get('projectQuotaSupport')!, 'only for xfs');
  if (settings.fields.has('xfs')) report(settings.fields.get('xfs')!, 'only for xfs');
};

const encryption: Rule = (volume, report) => {
  const settings = object(volume, 'encryption');
  if (settings === undefined) return;
  const provider = textOf(settings, 'provider') ?? 'none';
  if (provider !== 'luks2') report(settings.fields.get('provider') ?? settings, `provider ${provider}: want luks2`);
  const keys = items(settings, 'keys');
  if (keys.length === 0) report(settings, 'keys: want at least one');
  const slots = new Set<bigint>();
  for (const key of keys) encryptionKey(key, slots, report);
};

const KEY_KINDS = ['static', 'nodeID', 'kms', 'tpm'];

function encryptionKey(key: LocatedObject, slots: Set<bigint>, report: Report): void {
  const slot = integerOf(key, 'slot') ?? 0n;
  if (slots.has(slot)) report(key.fields.get('slot') ?? key, `slot ${slot}: already in use`);
  slots.add(slot);
  if (!KEY_KINDS.some((name) => key.fields.has(name))) report(key, `want one of ${KEY_KINDS.join(', ')}`);
  const registers = inner(key, 'tpm', 'options')?.fields.get('pcrs')?.value;
  for (const register of Array.isArray(registers) ? (registers as readonly Located[]) : []) {
    const number = register.value as bigint;
    if (number < 0n || number > 23n) report(register, `PCR ${number}: want 0..23`);
  }
}

const SYSTEM_VOLUMES = ['STATE', 'EPHEMERAL', 'IMAGECACHE', 'ETCD', 'CRI', 'KUBELET', 'LOG'];

/** What each of the system's volumes does not take. */
const NOT_FOR: ReadonlyMap<string, readonly string[]> = new Map([
  ['STATE', ['provisioning', 'mount']],
  ['IMAGECACHE', ['mount', 'filesystem']],
]);

const systemVolume: Rule = (volume, report) => {
  const name = textOf(volume, 'name') ?? '';
  if (!SYSTEM_VOLUMES.includes(name))
    report(volume.fields.get('name') ?? volume, `name: want one of ${SYSTEM_VOLUMES.join(', ')}`);
  for (const field of NOT_FOR.get(name) ?? []) {
    if (isSet(volume, field)) report(volume.fields.get(field)!, `${field}: not for ${name}`);
  }
  const isOptional = ['ETCD', 'CRI', 'KUBELET', 'LOG'].includes(name);
  if (isOptional && isSet(volume, 'mount') && !isSet(volume, 'provisioning'))
    report(volume.fields.get('mount')!, 'mount: want provisioning, too');
  if (name !== 'STATE') return;
  for (const key of items(object(volume, 'encryption') ?? volume, 'keys')) {
    if (booleanOf(key, 'lockToState') === true)
      report(key.fields.get('lockToState')!, 'lockToState: not for STATE itself');
  }
};

const existingVolume: Rule = (volume, report) => {
  if (!isSet(inner(volume, 'discovery', 'volumeSelector'), 'match'))
    report(volume, 'discovery.volumeSelector.match: not set');
};

const externalVolume: Rule = (volume, report) => {
  const type = textOf(volume, 'filesystemType') ?? 'none';
  if (type !== 'virtiofs')
    report(volume.fields.get('filesystemType') ?? volume, `filesystemType ${type}: want virtiofs`);
  else if (!isSet(inner(volume, 'mount', 'virtiofs'), 'tag')) report(volume, 'mount.virtiofs.tag: not set');
};

const logicalVolume: Rule = (volume, report) => {
  const type = textOf(volume, 'type') ?? 'linear';
  numberOfParts(volume, 'mirrors', ['raid1', 'raid10'], 1n, type, report);
  numberOfParts(volume, 'stripes', ['raid0', 'raid10'], 2n, type, report);
  const provisioning = object(volume, 'provisioning');
  if (!isSet(provisioning, 'volumeGroup') && provisioning === undefined)
    report(volume, 'provisioning.volumeGroup: not set');
  if (provisioning === undefined) report(volume, 'provisioning.maxSize: not set');
  const most = provisioning?.fields.get('maxSize');
  const size = typeof most?.value === 'string' ? (parseByteSize(most.value) ?? parsePercentage(most.value)) : undefined;
  if (size !== undefined && size <= 0) report(most!, 'want a size above 0');
};

function numberOfParts(
  volume: LocatedObject,
  name: string,
  types: readonly string[],
  least: bigint,
  type: string,
  report: Report,
): void {
  const count = integerOf(volume, name);
  if (count === undefined || count === 0n) return;
  if (!types.includes(type)) report(volume.fields.get(name)!, `${name}: only for ${types.join(' and ')}, not ${type}`);
  else if (count < least) report(volume.fields.get(name)!, `${name}: want at least ${least}`);
}

const byVolumeSelector: Rule = (entry, report) => {
  if (object(entry, 'provisioning') === undefined || inner(entry, 'provisioning', 'volumeSelector') === undefined)
    report(entry, 'provisioning.volumeSelector.match: not set');
};

const unattendedInstall: Rule = (entry, report) => {
  if (inner(entry, 'provisioning', 'diskSelector') === undefined)
    report(entry, 'provisioning.diskSelector.match: not set');
  if (!isSet(object(entry, 'installer'), 'image')) {
    const message = 'no installer.image: the installation fails unless the node was booted from an image of a factory';
    report(entry, message, { severity: 'warning' });
  }
};

/** When trimming and scrubbing are done. */
const schedules: Rule = (volume, report, context) => {
  const [trim, scrub] = [object(volume, 'trim'), object(volume, 'scrub')];
  if (trim !== undefined) trimInterval(trim, report, context);
  if (scrub !== undefined) scrubInterval(scrub, report, context);
};

const trimInterval = numberMust('interval', 0n, NO_LIMIT, '0 or more');

const scrubInterval: Rule = (entry, report) => {
  const interval = integerOf(entry, 'interval');
  if (interval !== undefined && interval !== 0n && interval < TEN_SECONDS)
    report(entry.fields.get('interval')!, 'want 10s or more');
};

const lvmName = (most: number): Rule =>
  namePattern(new RegExp(`^[A-Za-z0-9_-]{1,${most}}$`), `a name of 1..${most} letters, digits, "-" and "_"`);

export const VOLUME_RULES: Readonly<Record<string, readonly Rule[]>> = {
  UserVolumeConfig: [volumeName, userVolume, sizes, encryption, schedules],
  RawVolumeConfig: [volumeName, diskSpace, sizes, encryption],
  SwapVolumeConfig: [volumeName, diskSpace, sizes, encryption],
  VolumeConfig: [systemVolume, sizes, encryption, schedules],
  ExistingVolumeConfig: [
    namePattern(/^[A-Za-z0-9-]+$/, 'a name of letters, digits and hyphens'),
    existingVolume,
    schedules,
  ],
  ExternalVolumeConfig: [volumeName, externalVolume],
  LVMLogicalVolumeConfig: [lvmName(63), logicalVolume, sizes],
  LVMVolumeGroupConfig: [lvmName(63), byVolumeSelector],
  RAIDArrayConfig: [lvmName(32), byVolumeSelector],
  UnattendedInstallConfig: [unattendedInstall],
  FilesystemTrimConfig: [trimInterval],
  FilesystemScrubConfig: [scrubInterval],
};
