/** Kernel arguments that a platform needs: which consoles it has, how it names interfaces. Source: spec profiles-and-inputs 4.3. */
import { invalid } from '../errors.ts';
import { knownPlatform, PLATFORM_NAMES, type PlatformName } from '../machineconfig/platform.ts';
import type { Architecture } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';

export type PlatformTraits = Pick<Traits, 'usesSerialConsoleOnMetal' | 'limitsNvmeTimeoutToAws'>;

type Rule = readonly string[] | ((architecture: Architecture, traits: PlatformTraits) => readonly string[]);

export const NVME_TIMEOUT = 'nvme_core.io_timeout=4294967295';

const SERIAL_AND_SCREEN: Rule = ['console=tty1', 'console=ttyS0', 'net.ifnames=0'];
const SCREENS: Rule = ['console=ttyS0', 'console=tty0', 'console=tty1', 'net.ifnames=0'];
const NO_DASHBOARD = 'talos.dashboard.disabled=1';
const NO_KEXEC = 'sysctl.kernel.kexec_load_disabled=1';

const PLATFORMS: Readonly<Record<PlatformName, Rule>> = {
  akamai: SCREENS,
  alibabacloud: SERIAL_AND_SCREEN,
  aws: (_, traits) => [...SERIAL_AND_SCREEN, ...(traits.limitsNvmeTimeoutToAws ? [NVME_TIMEOUT] : [])],
  azure: [
    'console=ttyS0,115200n8',
    'earlyprintk=ttyS0,115200',
    'rootdelay=300',
    'net.ifnames=0',
    NO_DASHBOARD,
    NO_KEXEC,
  ],
  cloudstack: SERIAL_AND_SCREEN,
  container: [],
  'digital-ocean': SCREENS,
  equinixMetal: (architecture) => (architecture === 'arm64' ? ['console=ttyAMA0,115200'] : ['console=ttyS1,115200n8']),
  exoscale: SERIAL_AND_SCREEN,
  gcp: ['console=ttyS0', 'net.ifnames=0', NO_DASHBOARD, NO_KEXEC],
  hcloud: SERIAL_AND_SCREEN,
  metal: (architecture, traits) => {
    if (architecture === 'arm64') return ['console=ttyAMA0', 'console=tty0'];
    return traits.usesSerialConsoleOnMetal ? ['console=ttyS0', 'console=tty0'] : ['console=tty0'];
  },
  nocloud: SERIAL_AND_SCREEN,
  opennebula: SERIAL_AND_SCREEN,
  openstack: SERIAL_AND_SCREEN,
  oracle: [...SERIAL_AND_SCREEN, NO_DASHBOARD],
  scaleway: [...SERIAL_AND_SCREEN, NO_DASHBOARD],
  upcloud: ['net.ifnames=0'],
  vmware: (architecture) =>
    architecture === 'arm64'
      ? ['talos.config=guestinfo', 'console=tty0', 'console=ttyAMA0', 'net.ifnames=0']
      : ['talos.config=guestinfo', 'console=tty0', 'console=ttyS0', 'earlyprintk=ttyS0,115200', 'net.ifnames=0'],
  vultr: ['net.ifnames=0'],
};

/** The name Talos knows the platform by; case-sensitive. Throws `invalid-input` for an unknown one. */
export function canonicalPlatform(name: string): PlatformName {
  const known = knownPlatform(name);
  if (known !== undefined) return known;
  const meant = PLATFORM_NAMES.find((one) => fold(one) === fold(name));
  throw invalid(`platform ${JSON.stringify(name)}: want one of ${PLATFORM_NAMES.join(', ')}`, {
    ...(meant === undefined ? {} : { hint: `did you mean ${meant}?` }),
  });
}

/** In order. Throws `invalid-input` for an unknown platform. */
export function platformArguments(
  platform: string,
  architecture: Architecture,
  traits: PlatformTraits,
): readonly string[] {
  const rule: Rule = PLATFORMS[canonicalPlatform(platform)];
  return typeof rule === 'function' ? rule(architecture, traits) : rule;
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z]/g, '');
}
