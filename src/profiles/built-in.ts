/** The profiles that come with the imager (specification profiles-and-inputs 2.8). */
import { MIB } from '../bytes/units.ts';
import type { DiskFormat, GivenProfile, OutputFormat, OutputKind } from './profile.ts';

/** What an installed system needs at least: EFI 100, BIOS 1, BOOT 1000, META 1, STATE 100 MiB, and alignment. */
const LEAST = 1246 * MIB;
const CLOUD = 8192 * MIB;
const LARGE = 10240 * MIB;

const SMALL_CLUSTERS = 'cluster_size=8k';
const FIXED_SIZE = 'subformat=fixed,force_size';

interface Sketch {
  readonly kind?: OutputKind;
  readonly outFormat?: OutputFormat;
  /** Bytes, before the boot partition of the version is added. */
  readonly diskSize?: number;
  readonly diskFormat?: DiskFormat;
  readonly diskFormatOptions?: string;
  readonly diskSectorSize?: number;
  readonly platform?: string;
  readonly secureboot?: boolean;
}

/** A disk image is what most of them are. */
const SKETCHES: Readonly<Record<string, Sketch>> = {
  iso: { platform: 'metal', kind: 'iso' },
  'secureboot-iso': { platform: 'metal', kind: 'iso', secureboot: true },
  metal: {},
  'metal-4k': { platform: 'metal', diskSectorSize: 4096 },
  'secureboot-metal': { platform: 'metal', secureboot: true },
  'metal-uki': { platform: 'metal', kind: 'uki' },
  'secureboot-metal-uki': { platform: 'metal', kind: 'uki', secureboot: true },
  installer: { platform: 'metal', kind: 'installer' },
  'secureboot-installer': { platform: 'metal', kind: 'installer', secureboot: true },
  akamai: { outFormat: '.gz' },
  alibabacloud: { outFormat: 'raw', diskFormat: 'qcow2', diskFormatOptions: SMALL_CLUSTERS },
  aws: { diskSize: CLOUD },
  azure: { diskSize: CLOUD, diskFormat: 'vhd', diskFormatOptions: FIXED_SIZE },
  'secureboot-azure': {
    platform: 'azure',
    secureboot: true,
    diskSize: CLOUD,
    diskFormat: 'vhd',
    diskFormatOptions: FIXED_SIZE,
  },
  cloudstack: { diskSize: CLOUD },
  'secureboot-cloudstack': { platform: 'cloudstack', secureboot: true, diskSize: CLOUD },
  'digital-ocean': { outFormat: '.gz', diskSize: CLOUD },
  exoscale: { diskSize: LARGE, diskFormat: 'qcow2', diskFormatOptions: SMALL_CLUSTERS },
  gcp: { outFormat: '.tar.gz', diskSize: CLOUD },
  hcloud: {},
  nocloud: {},
  'secureboot-nocloud': { platform: 'nocloud', secureboot: true },
  opennebula: {},
  'secureboot-opennebula': { platform: 'opennebula', secureboot: true },
  openstack: {},
  'secureboot-openstack': { platform: 'openstack', secureboot: true },
  oracle: { diskSize: CLOUD, diskFormat: 'qcow2', diskFormatOptions: SMALL_CLUSTERS },
  scaleway: {},
  upcloud: { diskSize: CLOUD },
  vmware: { outFormat: 'raw', diskSize: CLOUD, diskFormat: 'ova' },
  'secureboot-vmware': { platform: 'vmware', secureboot: true, outFormat: 'raw', diskSize: CLOUD, diskFormat: 'ova' },
  vultr: { diskSize: CLOUD },
};

/** Nothing that is left out is filled in: of all these a build needs one. */
export const BUILT_IN_PROFILES: ReadonlyMap<string, GivenProfile> = new Map(
  Object.entries(SKETCHES).map(([name, sketch]) => [name, profileOf(name, sketch)]),
);

/** What `baseProfileName` can be without an overlay: `iso`, `metal`, `aws`, ... */
export const BUILT_IN_PROFILE_NAMES: readonly string[] = [...BUILT_IN_PROFILES.keys()];

function profileOf(name: string, sketch: Sketch): GivenProfile {
  const { platform = name, secureboot = false, kind = 'image' } = sketch;
  return { platform, secureboot, output: kind === 'image' ? imageOutput(sketch) : otherOutput(kind, secureboot) };
}

function imageOutput(sketch: Sketch): NonNullable<GivenProfile['output']> {
  const {
    diskSize = LEAST,
    diskFormat = 'raw',
    diskFormatOptions = '',
    diskSectorSize = 0,
    outFormat = '.zst',
  } = sketch;
  return { kind: 'image', outFormat, imageOptions: { diskSize, diskFormat, diskFormatOptions, diskSectorSize } };
}

function otherOutput(kind: OutputKind, secureboot: boolean): NonNullable<GivenProfile['output']> {
  const isoOptions = kind === 'iso' && secureboot ? ({ sdBootEnrollKeys: 'if-safe' } as const) : null;
  return { kind, outFormat: 'raw', isoOptions };
}
