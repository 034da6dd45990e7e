/** What an overlay puts onto a disk image: its program is run once for an empty disk, and what it left is kept in the store. */
import type { Bytes, Placement } from '../bytes/bytes.ts';
import { chunks } from '../bytes/read.ts';
import { diskBootloader } from '../disk/bootloader.ts';
import type { OverlayFiles } from '../disk/overlay-files.ts';
import type { PartitionTable } from '../disk/partitions.ts';
import { layoutTar } from '../formats/tar/layout-tar.ts';
import { indexTarBytes } from '../formats/tar/tar-index.ts';
import { flatten } from '../oci/layer/flatten.ts';
import { type Area, gapWrites } from '../overlays/gap.ts';
import { install } from '../overlays/installer.ts';
import { encodeOptions } from '../overlays/protocol.ts';
import { findSandbox } from '../sandbox/sandbox.ts';
import {
  children,
  EMPTY_TREE,
  type Entry,
  filter,
  nameOf,
  overlay,
  subtree,
  type Tree,
  treeOf,
  withAttributes,
} from '../tree/tree.ts';
import { diskChoice } from './asset-places.ts';
import type { BuildInput } from './build-input.ts';
import { type FetchedOverlay, overlayInstaller, requireRunnable } from './overlay-image.ts';
import { withScratch } from './scratch.ts';
import { openWorkplaceStore } from './workplace.ts';

/** Raised when the same run is kept in another form. */
const REVISION = 2;

/** Directories of what is kept: below the mount prefix, and pieces of the disk named by their offsets. */
const FILES = 'files';
const GAP = 'gap';

/**
 * Files for the EFI partition and BOOT, and what goes before the first partition of the disk that `table` describes. Throws what running the program throws, `dependency` for
 * writes to what is not free.
 */
export async function installOverlay(
  input: BuildInput,
  fetched: FetchedOverlay,
  diskSize: number,
  table: PartitionTable,
): Promise<OverlayFiles> {
  requireRunnable(input.workplace, fetched);
  const kept = await keptRun(input, fetched, diskSize, table);
  const files = filesOf(kept, FILES);
  warnOfLost(input, fetched, files);
  const plain = (tree: Tree): Tree => withAttributes(tree, () => ({ uid: 0, gid: 0, mtime: input.epoch }));
  return {
    // Talos 1.14 takes the EFI partition from `EFI`, all before from `boot/EFI`: overlays for either are right here.
    efi: plain(overlay(filesOf(files, 'boot/EFI'), filesOf(files, 'EFI'))),
    boot: plain(filter(filesOf(files, 'boot'), ({ path }) => path !== 'EFI')),
    gap: gapOf(filesOf(kept, GAP)),
  };
}

/** What lies below a directory; nothing where it is not there. */
function filesOf(tree: Tree, path: string): Tree {
  return tree.byPath.get(path)?.kind === 'directory' ? subtree(tree, path) : EMPTY_TREE;
}

function gapOf(tree: Tree): Placement[] {
  return children(tree, '').flatMap((entry) =>
    entry.kind === 'file' ? [{ at: Number(nameOf(entry.path)), bytes: entry.content }] : [],
  );
}

async function keptRun(
  { workplace, profile }: BuildInput,
  fetched: FetchedOverlay,
  diskSize: number,
  table: PartitionTable,
): Promise<Tree> {
  const { platform, signal, overlayTimeout: timeout } = workplace;
  const store = await openWorkplaceStore(workplace);
  const installer = overlayInstaller(fetched, profile);
  const { taken, gapEnd } = takenAreas(table);
  const told = { name: installer.name, options: encodeOptions(installer.options, installer.era), diskSize, taken };
  const key = { source: fetched.digest, kind: `overlay-install ${REVISION}`, parameters: told };
  const archive = await store.derived(key, async (writer) => {
    const sandbox = await findSandbox(platform, signal);
    await withScratch(workplace, 'overlay', async (scratch) => {
      const { files, ...written } = await install(installer, { platform, sandbox, scratch, timeout, signal }, diskSize);
      const gap = await gapWrites({ ...written, taken, gapEnd }, `overlay ${fetched.image}`, signal);
      for await (const chunk of chunks(archiveOf(files, gap))) await writer.write(chunk);
    });
  });
  const [extent] = archive.extents;
  if (extent?.kind !== 'range') throw new RangeError('what is kept in the store is a range of it');
  return flatten([{ label: 'overlay', entries: await indexTarBytes(archive), source: extent.source }]);
}

function archiveOf(files: Tree, gap: readonly Placement[]): Bytes {
  const common = { uid: 0, gid: 0, mtime: 0 };
  const moved = files.entries.map((entry): Entry => {
    return { ...entry, ...common, mode: plainMode(entry), path: entry.path === '' ? FILES : `${FILES}/${entry.path}` };
  });
  const pieces = gap.map(({ at, bytes }): Entry => {
    return { kind: 'file', path: `${GAP}/${at}`, content: bytes, mode: 0o644, ...common };
  });
  return layoutTar(treeOf([...moved, ...pieces]));
}

/** What a program makes has the modes that the umask of whoever runs it leaves: of those only that a file can be executed is meant. */
function plainMode({ kind, mode }: Entry): number {
  if (kind === 'file') return (mode & 0o111) === 0 ? 0o644 : 0o755;
  return kind === 'directory' ? 0o755 : mode;
}

function takenAreas({ geometry, partitions }: PartitionTable): { readonly taken: Area[]; readonly gapEnd: number } {
  const { sectorSize, entriesLba, entrySectors } = geometry;
  const area = (name: string, first: number, last: number): Area => {
    return { name, start: first * sectorSize, end: (last + 1) * sectorSize };
  };
  const placed = [...partitions].map(([name, { firstLba, lastLba }]) =>
    area(`in partition ${name}`, firstLba, lastLba),
  );
  return {
    taken: [
      area('the protective MBR', 0, 0),
      area('the header of the partition table', 1, 1),
      area('in the entries of the partition table', entriesLba, entriesLba + entrySectors - 1),
      ...placed,
    ],
    gapEnd: Math.min(...placed.map(({ start }) => start)),
  };
}

/** Files in places that become no partition. */
function warnOfLost({ workplace, profile }: BuildInput, { image }: FetchedOverlay, files: Tree): void {
  const hasBoot = diskBootloader(diskChoice(profile)) !== 'sd-boot';
  const isPlaced = (path: string): boolean => /^(?:boot\/)?EFI\//.test(path) || (hasBoot && path.startsWith('boot/'));
  const lost = files.entries.filter(({ kind, path }) => kind !== 'directory' && !isPlaced(path));
  if (lost.length === 0) return;
  const wish = hasBoot ? 'boot or boot/EFI' : 'boot/EFI, for with sd-boot there is no BOOT partition';
  workplace.onWarning?.(
    `overlay ${image}: ${lost.length} files are not in the image, ${lost[0]!.path} first: want them below ${wish}`,
  );
}
