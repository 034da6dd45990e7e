/** Platforms Talos runs on, by the names of spec profiles-and-inputs 4.3. Names are case-sensitive. */

export const PLATFORM_NAMES = [
  'akamai',
  'alibabacloud',
  'aws',
  'azure',
  'cloudstack',
  'container',
  'digital-ocean',
  'equinixMetal',
  'exoscale',
  'gcp',
  'hcloud',
  'metal',
  'nocloud',
  'opennebula',
  'openstack',
  'oracle',
  'scaleway',
  'upcloud',
  'vmware',
  'vultr',
] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

/** Older names, and what they are called now. */
const ALIASES: ReadonlyMap<string, PlatformName> = new Map([['packet', 'equinixMetal']]);

/** The name Talos itself uses, or `undefined` for a platform nobody knows. */
export function knownPlatform(name: string): PlatformName | undefined {
  return ALIASES.get(name) ?? PLATFORM_NAMES.find((one) => one === name);
}
