/**
 * Every flag, once: what parses argv, what `--help` and completion show. Names and meanings are upstream's (spec
 * profiles-and-inputs 1.2) as far as upstream has them, so that existing pipelines run unchanged.
 */

export type FlagKind =
  /** One value, the last given counts. */
  | 'text'
  /** Repeatable; values are never split at commas. */
  | 'list'
  | 'switch';

export type FlagGroup = 'image' | 'customisation' | 'inputs' | 'verification' | 'output' | 'secureboot';

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  readonly group: FlagGroup;
  /** Name of the value in help texts; completion offers file names for `FILE` and `DIR`. */
  readonly value?: string;
  readonly short?: string;
  readonly choices?: readonly string[];
  readonly help: string;
  /** Ignored with a profile on standard input, as upstream does: the document says it all. */
  readonly mapsToProfile: boolean;
}

const profileFlag = (
  group: FlagGroup,
  name: string,
  kind: FlagKind,
  value: string,
  help: string,
  choices?: readonly string[],
): Flag => ({ name, kind, group, value, help, mapsToProfile: true, ...(choices === undefined ? {} : { choices }) });

const toolFlag = (
  group: FlagGroup,
  name: string,
  kind: FlagKind,
  value: string,
  help: string,
  more: Partial<Flag> = {},
): Flag => ({ name, kind, group, value, help, mapsToProfile: false, ...more });

const OUTPUT_KINDS = ['iso', 'image', 'installer', 'kernel', 'initramfs', 'uki', 'cmdline'] as const;

export const FLAGS: readonly Flag[] = [
  profileFlag(
    'image',
    'arch',
    'text',
    'ARCH',
    'target architecture (default: of this machine); installers also for both: amd64,arm64',
    ['amd64', 'arm64'],
  ),
  profileFlag('image', 'platform', 'text', 'NAME', "platform, in place of the profile's"),
  profileFlag('image', 'output-kind', 'text', 'KIND', "what to build, in place of the profile's", OUTPUT_KINDS),
  toolFlag('image', 'talos-version', 'text', 'VERSION', 'Talos version to build for'),
  profileFlag(
    'image',
    'image-disk-size',
    'text',
    'SIZE',
    'disk size, like 4GiB or 1500MiB; min: as small as it can be',
  ),

  profileFlag('customisation', 'extra-kernel-arg', 'list', 'ARG', 'kernel argument to add; -ARG removes one'),
  profileFlag('customisation', 'meta', 'list', 'KEY=VALUE', 'META value; KEY=@FILE reads a file, KEY=- standard input'),
  profileFlag(
    'customisation',
    'system-extension-image',
    'list',
    'SOURCE',
    'system extension to install: REF, oci:DIR[:NAME] or tar:FILE',
  ),
  profileFlag(
    'customisation',
    'system-extension',
    'list',
    'NAME',
    'the same by its name in a catalog, like siderolabs/gvisor, with a version like gvisor@20250505.0 if need be',
  ),
  profileFlag('customisation', 'embedded-config-path', 'text', 'FILE', 'machine configuration to embed'),
  profileFlag(
    'customisation',
    'overlay-name',
    'text',
    'NAME',
    "overlay to use; without --overlay-image from the Talos version's catalog",
  ),
  profileFlag('customisation', 'overlay-image', 'text', 'SOURCE', 'image that has the overlay: REF or oci:DIR[:NAME]'),
  profileFlag(
    'customisation',
    'overlay-option',
    'list',
    'KEY=VALUE',
    'overlay option; KEY=@FILE, or @FILE with a YAML mapping',
  ),
  toolFlag(
    'customisation',
    'no-validate',
    'switch',
    '',
    'take the 0xa network document and an embedded configuration as they are, mistakes included',
  ),

  toolFlag(
    'inputs',
    'imager-image',
    'text',
    'SOURCE',
    'where kernel, initramfs and boot loaders come from: REF, oci:DIR, oci-archive:FILE or dir:DIR',
  ),
  toolFlag('inputs', 'grub-dir', 'text', 'DIR', "GRUB platform directories (default: the imager image's)"),
  profileFlag('inputs', 'kernel', 'text', 'FILE', "kernel (default: the imager image's)"),
  profileFlag(
    'inputs',
    'initramfs',
    'text',
    'FILE',
    "initramfs, with that kernel's modules (default: the imager image's)",
  ),
  toolFlag(
    'inputs',
    'extension-catalog',
    'list',
    'SOURCE',
    "catalog asked for names before the Talos version's: REF, oci:DIR or a file of references by digest",
  ),
  toolFlag('inputs', 'overlay-catalog', 'list', 'SOURCE', 'the same for overlays: REF, oci:DIR or an overlays.yaml'),
  profileFlag('inputs', 'base-installer-image', 'text', 'SOURCE', 'base installer image: REF or oci:DIR[:NAME]'),
  profileFlag(
    'inputs',
    'image-cache',
    'text',
    'SOURCE',
    'image cache: REF, an OCI layout directory, or what imager cache create made',
  ),
  toolFlag('inputs', 'insecure', 'switch', '', 'registries: do not check TLS certificates, allow plain HTTP'),
  toolFlag(
    'inputs',
    'mirror',
    'list',
    'HOST=ENDPOINT',
    'registry mirror, or oci:DIR that imager mirror made; tried in order before the registry itself',
  ),
  toolFlag(
    'inputs',
    'hosts-dir',
    'text',
    'DIR',
    "mirrors and certificates of registries, as in containerd's hosts.toml files",
  ),
  toolFlag('inputs', 'store', 'text', 'DIR', 'where pulled content is kept (default: $XDG_CACHE_HOME/bootwright)'),
  toolFlag('inputs', 'offline', 'switch', '', 'use only what the store has'),

  toolFlag('verification', 'policy', 'text', 'FILE', 'rules in YAML: which images must be signed by whom'),
  toolFlag('verification', 'verify-key', 'text', 'FILE', 'public key in PEM that signs what no rule names'),
  toolFlag('verification', 'verify-identity', 'text', 'SUBJECT', 'identity that signs what no rule names'),
  toolFlag('verification', 'verify-identity-regexp', 'text', 'REGEXP', 'the same as an RE2 expression, which searches'),
  toolFlag('verification', 'verify-issuer', 'text', 'URL', 'who vouches for that identity'),
  toolFlag('verification', 'verify-issuer-regexp', 'text', 'REGEXP', 'the same as an RE2 expression, which searches'),
  toolFlag(
    'verification',
    'allow-unsigned',
    'list',
    'PATTERN',
    'images that need no signature, like registry.example/*',
  ),
  toolFlag(
    'verification',
    'allow-overlay-program',
    'switch',
    '',
    'run the program of an overlay image that is not verified',
  ),
  toolFlag('verification', 'locked', 'switch', '', 'refuse inputs other than those imager lock has pinned'),
  toolFlag('verification', 'lock-file', 'text', 'FILE', 'the lock (default: imager.lock)'),
  toolFlag(
    'verification',
    'trusted-root',
    'text',
    'FILE',
    "sigstore trusted root in JSON (default: the public instance's, fetched anew when it is old)",
  ),
  toolFlag('verification', 'tuf-url', 'text', 'URL', 'TUF repository that trusted root is fetched from'),
  toolFlag(
    'verification',
    'tuf-root',
    'text',
    'FILE',
    "root.json it is followed from (default: the public instance's)",
  ),

  toolFlag(
    'output',
    'output',
    'text',
    'DIR',
    'directory for the result, - for standard output, oci:DIR[:NAME] for an installer in an OCI layout (default: _out)',
    { short: 'o' },
  ),
  toolFlag('output', 'push', 'text', 'REF', 'registry, repository and tag an installer is pushed to'),
  toolFlag(
    'output',
    'tar-to-stdout',
    'switch',
    '',
    'afterwards write the output directory to standard output as .tar.gz',
  ),
  profileFlag(
    'output',
    'compression',
    'text',
    'FORMAT',
    "what the result is packed into, in place of the profile's: raw, zst, xz, gz or tar.gz, with a level like zst:19",
  ),
  toolFlag(
    'output',
    'report',
    'list',
    'FILE',
    'report of what was built of what: FILE.json, .intoto.json (SLSA provenance), .cdx.json, .spdx.json (SBOMs), SHA256SUMS or SHA512SUMS',
  ),
  toolFlag(
    'output',
    'report-key',
    'text',
    'FILE',
    'private key in PEM that signs each report into REPORT.sigstore.json; COSIGN_PASSWORD opens it',
  ),
  toolFlag('output', 'report-builder', 'text', 'URI', 'who builds, for the provenance (default: pkg:npm/bootwright)'),
  toolFlag('output', 'sync', 'switch', '', 'flush the result to the disk before saying it is done'),
  toolFlag('output', 'json', 'switch', '', 'print the result, or the plan, as JSON'),
  toolFlag('output', 'quiet', 'switch', '', 'no progress, only warnings and errors', { short: 'q' }),
  toolFlag('output', 'progress', 'text', 'STYLE', 'progress on standard error', {
    choices: ['auto', 'bars', 'plain', 'json', 'none'],
  }),

  profileFlag(
    'secureboot',
    'secureboot-include-well-known-certs',
    'switch',
    '',
    'enrol the well-known UEFI certificates too',
  ),
  profileFlag('secureboot', 'secureboot-signer-address', 'text', 'ADDRESS', 'SecureBoot signer service'),
  profileFlag('secureboot', 'pcr-signer-address', 'text', 'ADDRESS', 'PCR signer service'),
  profileFlag('secureboot', 'secureboot-enroll-keys', 'text', 'MODE', 'when systemd-boot enrols keys', [
    'if-safe',
    'manual',
    'force',
    'off',
  ]),
];

/** Flags upstream once had: the message says what takes their place. */
export const RETIRED_FLAGS: Readonly<Record<string, string>> = {
  board: 'was removed in Talos 1.13: boards are overlays now, use --overlay-name with --overlay-image',
};

export const GROUP_TITLES: Readonly<Record<FlagGroup, string>> = {
  image: 'Image:',
  customisation: 'Customisation:',
  inputs: 'Inputs:',
  verification: 'Verification:',
  output: 'Output:',
  secureboot: 'SecureBoot:',
};

/** Parsed flags: absent means not given. */
export interface FlagValues {
  readonly text: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  readonly switches: ReadonlySet<string>;
}
