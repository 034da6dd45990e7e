/** Catalog images: which extensions there are for a Talos version, each by digest (spec factory-and-signatures D2, D3, D5). */
import { ImagerError, invalid } from '../errors.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { nearName } from '../yaml/diagnostic.ts';

/** In the root of a catalog image. */
export const CATALOG_FILE = 'image-digests';

export interface CatalogEntry {
  /** Repository without registry: `siderolabs/iscsi-tools`. */
  readonly name: string;
  /** The extension's own version, kernel-dependent ones with that of Talos behind: `v0.2.0`, `560.1-v1.13.0`; empty where none is written. */
  readonly version: string;
  /** With tag and digest. */
  readonly reference: string;
}

export interface Catalog {
  /** Where it comes from, for messages. */
  readonly origin: string;
  readonly entries: readonly CatalogEntry[];
}

/** Of all names in the official catalog. */
const OFFICIAL = 'siderolabs/';

/** Names of the official catalog that changed, all below `siderolabs/`. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'v4l-uvc': 'v4l-uvc-drivers',
    'usb-modem': 'usb-modem-drivers',
    gasket: 'gasket-driver',
    'talos-vmtoolsd': 'vmtoolsd-guest-agent',
    'xe-guest-utilities': 'xen-guest-agent',
    'nvidia-container-toolkit': 'nvidia-container-toolkit-lts',
    'nvidia-open-gpu-kernel-modules': 'nvidia-open-gpu-kernel-modules-lts',
    'nonfree-kmod-nvidia': 'nonfree-kmod-nvidia-lts',
    'nvidia-fabricmanager': 'nvidia-fabric-manager-lts',
    'i915-ucode': 'i915',
    'amdgpu-firmware': 'amdgpu',
  }).map(([old, name]) => [`${OFFICIAL}${old}`, `${OFFICIAL}${name}`]),
);

/** One reference a line; lines without a digest do not count. Throws `invalid-input` for a reference nobody can read and when there is none. */
export function parseCatalog(text: string, origin: string): Catalog {
  const entries = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes('@'))
    .map((line) => entryOf(parseReference(line)));
  if (entries.length === 0)
    throw invalid(`catalog ${origin}: empty, want lines like ghcr.io/siderolabs/gvisor:v1@sha256:...`);
  return { origin, entries };
}

function entryOf(reference: Reference): CatalogEntry {
  return { name: reference.repository, version: reference.tag ?? '', reference: formatReference(reference) };
}

/** What somebody asks for by name. */
export interface WantedExtension {
  readonly name: string;
  /** `undefined`: whichever the catalog has. */
  readonly version: string | undefined;
}

/** `NAME` or `NAME@VERSION`. Throws `usage`. */
export function parseWantedExtension(text: string): WantedExtension {
  const [, name, version] = /^([^@:\s]+)(?:@([^@\s]+))?$/.exec(text) ?? [];
  if (name !== undefined) return { name, version };
  throw new ImagerError('usage', `system extension ${JSON.stringify(text)}: want NAME or NAME@VERSION`, {
    hint: 'references with a tag go to --system-extension-image',
  });
}

/** In the first catalog that has it: by its name, without `siderolabs/`, or by a name it once had. */
export function findExtension(catalogs: readonly Catalog[], wanted: WantedExtension): CatalogEntry | undefined {
  for (const { entries } of catalogs) {
    for (const name of namesOf(wanted.name)) {
      const found = entries.find((entry) => entry.name === name && isVersion(entry, wanted.version));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function namesOf(name: string): string[] {
  const full = name.includes('/') ? name : `${OFFICIAL}${name}`;
  const alias = ALIASES.get(full);
  return [name, full, ...(alias === undefined ? [] : [alias])];
}

function isVersion({ version }: CatalogEntry, wanted: string | undefined): boolean {
  return wanted === undefined || version === wanted || version.startsWith(`${wanted}-v`);
}

/** `dependency`, with all catalogs that were asked and what else is there under that name or one like it. */
export function noExtension(catalogs: readonly Catalog[], { name, version }: WantedExtension): ImagerError {
  const asked = catalogs.map(({ origin }) => origin).join(', ');
  const all = catalogs.flatMap(({ entries }) => entries);
  const versions = all.filter((entry) => namesOf(name).includes(entry.name)).map((entry) => entry.version);
  if (version !== undefined && versions.length > 0) {
    return new ImagerError(
      'dependency',
      `system extension ${name}: no version ${version} in ${asked}, there is ${versions.join(', ')}`,
    );
  }
  const names = all.map((entry) => entry.name);
  const near =
    nearName(name, names) ??
    nearName(
      name.slice(name.lastIndexOf('/') + 1),
      names.map((one) => one.slice(one.lastIndexOf('/') + 1)),
    );
  return new ImagerError('dependency', `system extension ${name}: not in ${asked}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}
