/** Everything that can be told about extensions before anything is built of them. */
import { type Bytes, EMPTY } from '../bytes/bytes.ts';
import { viewOf } from '../bytes/field.ts';
import { equals, read, toMemory } from '../bytes/read.ts';
import { ImagerError } from '../errors.ts';
import type { TalosVersion } from '../profiles/talos-version.ts';
import { children, type Entry, nameOf, parentOf, segmentsOf, type Tree } from '../tree/tree.ts';
import { decodeYamlText } from '../yaml/document.ts';
import { parseConstraint } from './constraint.ts';
import { checkContents } from './contents.ts';
import { takeMicrocode } from './cpu-microcode.ts';
import { takeFirmware } from './firmware.ts';
import { kernelsOf } from './kernel-modules.ts';
import type { Extension } from './layout.ts';
import type { ExtensionProblem, ExtensionRule } from './problem.ts';
import { readService } from './service.ts';

export interface NamedExtension {
  /** As the user named it. */
  readonly name: string;
  readonly extension: Extension;
}

export interface CheckOptions {
  readonly version: TalosVersion;
  /** Without a leading `/`. */
  readonly modulesPath: string;
  readonly firmwarePath: string;
}

/** Of one extension. */
const MAX_ENTRIES = 500_000;
/** Linux follows no longer path, bytes. */
const MAX_PATH = 4095;
const MAX_SERVICE: number = 1 << 20;

const SERVICES = 'usr/local/etc/containers';
const CONTAINERS = 'usr/local/lib/containers';

/** In the order of the extensions, those between several of them last. Throws what reading throws. */
export async function checkExtensions(
  extensions: readonly NamedExtension[],
  options: CheckOptions,
): Promise<ExtensionProblem[]> {
  const problems: ExtensionProblem[] = [];
  for (const extension of extensions) problems.push(...(await checkExtension(extension, options)));
  return [...problems, ...kernelProblems(extensions, options), ...(await conflicts(extensions, options))];
}

async function checkExtension({ name, extension }: NamedExtension, options: CheckOptions): Promise<ExtensionProblem[]> {
  const { rootfs, metadata, warnings } = extension;
  const problem = reporterFor(name);
  if (rootfs.entries.length > MAX_ENTRIES) {
    const message = `${rootfs.entries.length} files and directories, want at most ${MAX_ENTRIES}`;
    return [problem('error', 'size', message)];
  }
  return [
    ...warnings.map((message) => problem('warning', 'manifest', message.replace(`${name}: `, ''))),
    ...versionProblems(metadata.constraint, options.version, problem),
    ...contentProblems(rootfs, options, problem),
    ...rootfs.entries.flatMap((entry) => entryProblems(entry, problem)),
    ...(await serviceProblems(rootfs, problem)),
    ...firmwareProblems(rootfs, options, problem),
    ...(await microcodeProblems(rootfs, options, problem)),
  ];
}

type Reporter = (
  severity: ExtensionProblem['severity'],
  rule: ExtensionRule,
  message: string,
  where?: Pick<ExtensionProblem, 'file' | 'position'>,
) => ExtensionProblem;

function reporterFor(extension: string): Reporter {
  return (severity, rule, message, where = {}) => ({ severity, rule, extension, message, ...where });
}

function versionProblems(constraint: string, version: TalosVersion, problem: Reporter): ExtensionProblem[] {
  const at = { file: 'manifest.yaml' };
  try {
    if (parseConstraint(constraint)(version)) return [];
    return [problem('error', 'version', `for Talos ${constraint}, this is ${version.text}`, at)];
  } catch (error) {
    return [problem('error', 'manifest', messageOf(error), at)];
  }
}

/** Upstream has the rule about places but does not look; what is no file, directory or link it makes a file of. */
function contentProblems(rootfs: Tree, { modulesPath }: CheckOptions, problem: Reporter): ExtensionProblem[] {
  const found = checkContents(rootfs, { mergedUsr: modulesPath.startsWith('usr/') });
  return found.map(({ path, message }) => {
    const kind = rootfs.byPath.get(path.slice(1))?.kind;
    const isSpecial = kind !== 'file' && kind !== 'symlink';
    return problem(isSpecial ? 'error' : 'warning', 'contents', message, { file: path });
  });
}

function entryProblems(entry: Entry, problem: Reporter): ExtensionProblem[] {
  const file = `/${entry.path}`;
  const problems: ExtensionProblem[] = [];
  if (entry.path.length > MAX_PATH / 4 && new TextEncoder().encode(entry.path).length > MAX_PATH) {
    problems.push(
      problem('error', 'size', `a path of more than ${MAX_PATH} bytes`, { file: `${file.slice(0, 80)}...` }),
    );
  }
  if (entry.kind === 'file' && (entry.mode & 0o6000) !== 0) {
    const who = (entry.mode & 0o4000) === 0 ? 'setgid' : 'setuid';
    problems.push(problem('warning', 'setuid', `${who}: whoever starts it has its owner's rights`, { file }));
  }
  if (entry.kind === 'symlink' && isLeaving(entry.path, entry.target)) {
    problems.push(problem('warning', 'links', `link to ${JSON.stringify(entry.target)}, above the root`, { file }));
  }
  return problems;
}

function isLeaving(path: string, target: string): boolean {
  let depth = target.startsWith('/') ? 0 : segmentsOf(parentOf(path)).length;
  for (const segment of segmentsOf(target)) {
    depth += segment === '..' ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

/** A node starts none of a broken file and goes on. */
async function serviceProblems(rootfs: Tree, problem: Reporter): Promise<ExtensionProblem[]> {
  const problems: ExtensionProblem[] = [];
  for (const entry of children(rootfs, SERVICES)) {
    const file = `/${entry.path}`;
    if (!entry.path.endsWith('.yaml') || entry.kind !== 'file') continue;
    try {
      const text = decodeYamlText(await toMemory(entry.content, MAX_SERVICE, file), file);
      const { name, problems: found } = readService(text, file);
      for (const { severity, position, path, message } of found) {
        const said = path === undefined || path === '' ? message : `${path}: ${message}`;
        problems.push(problem(severity, 'service', said, { file, position }));
      }
      const hasRoot = name === undefined || rootfs.byPath.get(`${CONTAINERS}/${name}`)?.kind === 'directory';
      if (!hasRoot && found.length === 0) {
        problems.push(problem('warning', 'service', `no /${CONTAINERS}/${name}: the service's files`, { file }));
      }
    } catch (error) {
      problems.push(problem('error', 'service', messageOf(error).replace(`${file}: `, ''), { file }));
    }
  }
  return problems;
}

function firmwareProblems(rootfs: Tree, { firmwarePath }: CheckOptions, problem: Reporter): ExtensionProblem[] {
  try {
    takeFirmware(rootfs, firmwarePath);
    return [];
  } catch (error) {
    return [problem('error', 'firmware', messageOf(error))];
  }
}

/** What updates begin with: header version 1 of Intel's, `DMA\0` of AMD's containers; little-endian. */
const INTEL_HEADER_VERSION = 1;
const AMD_MAGIC = 0x00414d44;

/** Linux passes over updates it does not know and all behind them. */
async function microcodeProblems(rootfs: Tree, options: CheckOptions, problem: Reporter): Promise<ExtensionProblem[]> {
  const { microcode } = takeMicrocode(rootfs, options.firmwarePath);
  const problems: ExtensionProblem[] = [];
  for (const [vendor, files, wanted] of [
    ['Intel', microcode.intel, INTEL_HEADER_VERSION],
    ['AMD', microcode.amd, AMD_MAGIC],
  ] as const) {
    for (const { path, content } of files) {
      const start = content.size < 4 ? undefined : viewOf(await read(content, 0, 4)).getUint32(0, true);
      if (start === wanted) continue;
      problems.push(problem('warning', 'microcode', `no microcode update of ${vendor}`, { file: `/${path}` }));
    }
  }
  return problems;
}

/** Whatever kernel there is, it is one: modules for two cannot both fit. */
function kernelProblems(extensions: readonly NamedExtension[], { modulesPath }: CheckOptions): ExtensionProblem[] {
  const sets = extensions.flatMap(({ name, extension }) => {
    const kernels = kernelsOf(extension.rootfs, modulesPath);
    return kernels === undefined ? [] : [{ name, kernels }];
  });
  const all = sets.flatMap(({ name, kernels }) => kernels.map((kernel) => ({ name, kernel })));
  const [first] = all;
  const isCommon = all.some(({ kernel }) => sets.every(({ kernels }) => kernels.includes(kernel)));
  if (first === undefined || isCommon) return [];
  return sets
    .filter(({ kernels }) => !kernels.includes(first.kernel))
    .map(({ name, kernels }) =>
      reporterFor(name)(
        'error',
        'modules',
        `modules for kernel ${kernels.join(', ') || 'none'}, ${first.name} has them for ${first.kernel}`,
        { file: `/${modulesPath}` },
      ),
    );
}

/** Those whose modules do not fit the kernel of the base; both versions are named. `base` is what messages call where that comes from. */
export function checkKernel(
  extensions: readonly NamedExtension[],
  { modulesPath }: Pick<CheckOptions, 'modulesPath'>,
  kernelVersion: string,
  base: string,
): ExtensionProblem[] {
  return extensions.flatMap(({ name, extension }) => {
    const kernels = kernelsOf(extension.rootfs, modulesPath);
    if (kernels === undefined || kernels.includes(kernelVersion)) return [];
    const message = `modules for kernel ${kernels.join(', ') || 'none'}, ${base} has kernel ${kernelVersion}`;
    return [reporterFor(name)('error', 'modules', message, { file: `/${modulesPath}` })];
  });
}

/** The later extension lies above: its file is what a node sees. */
async function conflicts(
  extensions: readonly NamedExtension[],
  { modulesPath }: CheckOptions,
): Promise<ExtensionProblem[]> {
  const isIndex = (path: string): boolean => path.startsWith(`${modulesPath}/`) && nameOf(path).startsWith('modules.');
  const problems: ExtensionProblem[] = [];
  const seen = new Map<string, { readonly name: string; readonly entry: Entry }>();
  for (const { name, extension } of extensions) {
    const problem = reporterFor(name);
    for (const entry of extension.rootfs.entries) {
      const other = seen.get(entry.path);
      // Index files are made anew for all modules together.
      if (isIndex(entry.path)) continue;
      if (other === undefined) {
        seen.set(entry.path, { name, entry });
        continue;
      }
      const file = `/${entry.path}`;
      if ((entry.kind === 'directory') !== (other.entry.kind === 'directory')) {
        const message = `a ${entry.kind}, in ${other.name} a ${other.entry.kind}: one hides the other`;
        problems.push(problem('error', 'conflict', message, { file }));
      } else if (!(await isSame(entry, other.entry))) {
        problems.push(problem('warning', 'conflict', `another file in ${other.name}, which it hides`, { file }));
      }
    }
  }
  return problems;
}

async function isSame(a: Entry, b: Entry): Promise<boolean> {
  if (a.kind === 'directory') return true;
  if (a.kind === 'symlink') return b.kind === 'symlink' && a.target === b.target;
  return a.kind === b.kind && equals(contentOf(a), contentOf(b));
}

function contentOf(entry: Entry): Bytes {
  return entry.kind === 'file' ? entry.content : EMPTY;
}

function messageOf(error: unknown): string {
  if (error instanceof ImagerError && error.code === 'invalid-input') return error.message;
  throw error;
}
