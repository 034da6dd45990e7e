/** `imager mirror`, `imager mirror verify` and `imager images`: their arguments and flags. */
import { type Command, Option } from 'commander';
import { addRootOptions } from './root-flags.ts';
import { addTransportOptions, type TransportFlags } from './transport-flags.ts';

/** Which images; absent where nothing was given. */
export interface ImageListFlags {
  readonly image?: readonly string[];
  /** Base profiles, files, and `-`. */
  readonly profile?: readonly string[];
  readonly talosVersion?: readonly string[];
  readonly kubernetesVersion?: string;
  readonly imagerImage?: string;
  readonly arch?: string;
  readonly json?: boolean;
}

/** What is named as catalogs have it; absent where nothing was given. */
export interface CatalogFlags {
  readonly talosVersion?: readonly string[];
  readonly systemExtension?: readonly string[];
  readonly extensionCatalog?: readonly string[];
  readonly overlayName?: readonly string[];
  readonly overlayCatalog?: readonly string[];
  readonly allExtensions?: boolean;
  readonly allOverlays?: boolean;
}

/** As given; absent where it was not. */
export interface MirrorFlags extends TransportFlags, ImageListFlags, CatalogFlags {
  /** `oci:DIR` or a registry. */
  readonly target: string;
  readonly config?: string;
  readonly store?: string;
  readonly quiet?: boolean;
  readonly progress?: string;
  readonly policy?: string;
  readonly trustedRoot?: string;
  readonly tufUrl?: string;
  readonly tufRoot?: string;
  readonly verifyKey?: string;
  readonly verifyIdentity?: string;
  readonly verifyIdentityRegexp?: string;
  readonly verifyIssuer?: string;
  readonly verifyIssuerRegexp?: string;
  readonly allowUnsigned?: readonly string[];
}

const EXAMPLES = `
Examples:
  imager mirror oci:./mirror --talos-version v1.13.9
  imager mirror registry.example:5000/talos --talos-version v1.13.9 --profile edge.yaml --config ./mirror-config
  imager mirror oci:./mirror --talos-version v1.13.9 --system-extension gvisor --system-extension siderolabs/iscsi-tools
  imager mirror oci:./mirror --talos-version v1.13.9 --all-extensions --all-overlays
  imager mirror verify oci:./mirror
  imager iso --mirror ghcr.io=oci:./mirror --offline

Signatures, attestations and all else that refers to an image come along. A stopped run goes on where it was.`;

/** Attaches the commands; `found` receives what was given. */
export function addMirror(
  program: Command,
  found: (command: 'mirror' | 'mirror verify', flags: MirrorFlags) => void,
): void {
  const mirror = withListOptions(addTransportOptions(program.command('mirror')))
    .description('copy images with their signatures to a registry or a directory, for sites without a network')
    .usage('[options] <dest>')
    .argument('[dest]', 'registry.example:5000[/prefix] or oci:DIR')
    .option('--system-extension <NAME>', 'an extension by its name in a catalog, with the catalog; repeatable', several)
    .option('--all-extensions', 'all that the catalogs of the Talos versions have')
    .option('--extension-catalog <SOURCE>', "catalog asked before the Talos version's; repeatable", several)
    .option('--overlay-name <NAME>', 'an overlay by its name in a catalog, with the catalog; repeatable', several)
    .option('--all-overlays', 'all that the catalogs of the Talos versions have')
    .option('--overlay-catalog <SOURCE>', "catalog asked before the Talos version's; repeatable", several)
    .option('--config <DIR>', 'write the mirror configuration there (default with oci:DIR: DIR/mirror)')
    .option('--trusted-root <FILE>', 'sigstore trusted root that goes with it (default: that of the public instance)')
    .option('--store <DIR>', 'where blobs on their way are kept (default: $XDG_CACHE_HOME/bootwright)');
  withOutputOptions(addRootOptions(withRuleOptions(mirror)))
    .addHelpText('after', EXAMPLES)
    .action((target: string | undefined, _options: unknown, command: Command) => {
      found('mirror', { ...command.optsWithGlobals<Omit<MirrorFlags, 'target'>>(), target: target ?? '' });
    });
  const verify = withListOptions(mirror.command('verify'))
    .description('prove a copy: every blob by its digest, every signature by the rules; nothing else is contacted')
    .argument('<dest>', 'as for mirror; a directory says itself which images it has')
    .option('--insecure', 'do not check TLS certificates, allow plain HTTP')
    .option('--trusted-root <FILE>', 'sigstore trusted root in JSON (default: that of the public instance)');
  withOutputOptions(withRuleOptions(verify)).action((target: string, _options: unknown, command: Command) => {
    found('mirror verify', { ...command.optsWithGlobals<Omit<MirrorFlags, 'target'>>(), target });
  });
}

export function addImages(program: Command, found: (flags: ImageListFlags) => void): void {
  withListOptions(program.command('images'))
    .description('list the images that a Talos release, its nodes and profiles need, one in each line')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  imager images --talos-version v1.13.9 | imager cache create - ./cache')
    .action((_options: unknown, command: Command) => found(command.optsWithGlobals<ImageListFlags>()));
}

function withListOptions(command: Command): Command {
  return command
    .option('--image <REF>', 'an image; repeatable', several)
    .option(
      '--profile <NAME|FILE>',
      'what a base profile or a profile document needs, - for standard input; repeatable',
      several,
    )
    .option('--talos-version <VERSION>', 'what a release and its nodes need; repeatable', several)
    .option('--kubernetes-version <VERSION>', "of those nodes (default: the release's own)")
    .option('--imager-image <REF>', 'where the profiles take kernel and boot loaders from')
    .option('--arch <ARCH>', 'of the profiles (default: of this machine)');
}

/** As builds have them. What is copied is not judged, but catalogs that are read on the way are. */
function withRuleOptions(command: Command): Command {
  return command
    .option('--policy <FILE>', 'rules in YAML: which images must be signed by whom')
    .option('--verify-key <FILE>', 'public key in PEM that signs what no rule names')
    .option('--verify-identity <SUBJECT>', 'identity that signs what no rule names')
    .option('--verify-identity-regexp <REGEXP>', 'the same as an RE2 expression, which searches')
    .option('--verify-issuer <URL>', 'who vouches for that identity')
    .option('--verify-issuer-regexp <REGEXP>', 'the same as an RE2 expression, which searches')
    .option('--allow-unsigned <PATTERN>', 'images that need no signature; repeatable', several);
}

function withOutputOptions(command: Command): Command {
  return command
    .option('--json', 'print the result as JSON')
    .option('-q, --quiet', 'no progress, only errors')
    .addOption(
      new Option('--progress <STYLE>', 'progress on standard error').choices(['auto', 'bars', 'plain', 'json', 'none']),
    );
}

function several(one: string, before: readonly string[] = []): readonly string[] {
  return [...before, one];
}
