/** The installer program of an overlay, unpacked and run: asked for its options, or told to install. Source: spec profiles-and-inputs 8.2, 8.5. */
import { type Bytes, ofSource } from '../bytes/bytes.ts';
import { MIB } from '../bytes/units.ts';
import { ImagerError } from '../errors.ts';
import type { Platform } from '../platform/types.ts';
import type { Mount } from '../sandbox/bubblewrap.ts';
import { type Limits, pathInside, runContained } from '../sandbox/run.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { writeFile, writeTree } from '../sandbox/write-tree.ts';
import { treeOfDirectory } from '../tree/directory.ts';
import type { Tree } from '../tree/tree.ts';
import type { YamlEra } from '../yaml/emit.ts';
import type { YamlMapping } from '../yaml/value.ts';
import { artifacts, installerProgram, type OverlayImage } from './layout.ts';
import { type DecodedAnswer, decodeAnswer, encodeInstall, encodeOptions, type OverlayCommand } from './protocol.ts';

/** A program somebody chose, and what it is to be told. */
export interface OverlayInstaller {
  readonly overlay: OverlayImage;
  readonly name: string;
  readonly options: YamlMapping;
  readonly era: YamlEra;
}

/** Where and how it runs. */
export interface InstallerSurroundings {
  readonly platform: Platform;
  readonly sandbox: Sandbox;
  /** An empty directory of its own, which the caller removes. */
  readonly scratch: string;
  /** Milliseconds; 2 minutes unless given. */
  readonly timeout?: number | undefined;
  /** Bytes its files may occupy; 2 GiB unless given. */
  readonly diskLimit?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A copy of firmware to a disk takes a second; what takes longer hangs. */
const TIMEOUT = 120_000;
/** Nine thousand kernel arguments are 0.7 MB. */
const OUTPUT_LIMIT: number = MIB;
/** What `install` may leave: far more than an EFI partition of GRUB holds. */
const DISK_LIMIT: number = 2048 * MIB;

/** What the overlay wants. Throws `invalid-input` for an unknown name, `dependency` for a program that cannot run, fails or answers no such YAML; `canceled`. */
export async function askOptions(
  installer: OverlayInstaller,
  surroundings: InstallerSurroundings,
): Promise<DecodedAnswer> {
  const { overlay, options, era } = installer;
  const stdout = await runInstaller(installer, surroundings, 'get-options', encodeOptions(options, era), []);
  try {
    return decodeAnswer(stdout, labelOf(installer, 'get-options'));
  } catch (error) {
    if (!(error instanceof ImagerError)) throw error;
    throw new ImagerError('dependency', error.message, {
      cause: error,
      hint: `what the installer program of ${overlay.image} writes to standard output must be the answer alone`,
    });
  }
}

/** What an installer left behind, as ranges of the scratch directory: gone when that is removed. */
export interface Installed {
  /** Below its mount prefix. */
  readonly files: Tree;
  readonly disk: Bytes;
  /** Bytes its file occupies. */
  readonly allocated: number;
}

/** Has it install onto an empty disk of `size` bytes and empty directories. Throws as `askOptions`. */
export async function install(
  installer: OverlayInstaller,
  surroundings: InstallerSurroundings,
  size: number,
): Promise<Installed> {
  const { platform, sandbox, scratch, diskLimit = DISK_LIMIT, signal } = surroundings;
  const { files } = platform;
  const mount = (name: string, writable: boolean): Mount => ({ name, host: `${scratch}/${name}`, writable });
  const [given, prefix, disk] = [mount('artifacts', false), mount('mnt', true), mount('disk.raw', true)];
  await writeTree(files, artifacts(installer.overlay), given.host, { limit: diskLimit, signal });
  await files.makeDirectory(`${prefix.host}/boot/EFI`);
  const file = await files.create(disk.host);
  await file.truncate(size);
  await file.close();
  const paths = {
    installDisk: pathInside(sandbox, disk),
    mountPrefix: pathInside(sandbox, prefix),
    artifactsPath: pathInside(sandbox, given),
  };
  const stdin = encodeInstall(paths, installer.options, installer.era);
  await runInstaller(installer, surroundings, 'install', stdin, [given, prefix, disk]);
  const written = await files.source(disk.host);
  if (written.size !== size) {
    throw new ImagerError(
      'dependency',
      `${labelOf(installer, 'install')}: made the disk ${written.size} bytes, want the ${size} it was given`,
    );
  }
  const { allocated = size } = (await files.info(disk.host)) ?? {};
  return { files: await treeOfDirectory(files, prefix.host), disk: ofSource(written), allocated };
}

async function runInstaller(
  installer: OverlayInstaller,
  { platform, sandbox, scratch, timeout = TIMEOUT, diskLimit = DISK_LIMIT, signal }: InstallerSurroundings,
  command: OverlayCommand,
  stdin: string,
  mounts: readonly Mount[],
): Promise<Uint8Array> {
  const program: Mount = { name: 'installer', host: `${scratch}/installer`, writable: false };
  await platform.files.makeDirectory(scratch);
  await writeFile(platform.files, program.host, installerProgram(installer.overlay, installer.name), signal);
  const limits: Limits = {
    timeout,
    output: OUTPUT_LIMIT,
    disk: { directory: scratch, bytes: diskLimit },
  };
  const label = labelOf(installer, command);
  const request = { label, program, args: [command], stdin: new TextEncoder().encode(stdin), mounts, limits, signal };
  return runContained(platform, sandbox, request);
}

function labelOf({ overlay, name }: OverlayInstaller, command: OverlayCommand): string {
  return `overlay ${overlay.image}: ${name || 'default'} ${command}`;
}
