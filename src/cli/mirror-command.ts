/** `imager mirror` and `imager mirror verify`: the copy made or proven, and told. */
import { dirname } from 'node:path';
import { ofText } from '../bytes/bytes.ts';
import { writeToFile } from '../bytes/write.ts';
import { exitCodeOf, ImagerError } from '../errors.ts';
import { distinctImages } from '../pipeline/image-list.ts';
import { type MirrorReport, mirrorImages } from '../pipeline/mirror.ts';
import { type MirrorConfiguration, mirrorConfiguration } from '../pipeline/mirror-config.ts';
import { formatMirrorTarget, type MirrorTarget, parseMirrorTarget } from '../pipeline/mirror-target.ts';
import { type CheckedCopy, verifyMirror } from '../pipeline/mirror-verify.ts';
import { defaultStoreDirectory, type Workplace } from '../pipeline/workplace.ts';
import { parseTrustedRoot, TRUSTED_ROOT_LIMIT } from '../trust/trusted-root.ts';
import type { FlagValues } from './flags.ts';
import { readImageList } from './image-list.ts';
import type { Io } from './io.ts';
import type { MirrorFlags } from './mirror-flags.ts';
import { chooseStyle, formatBytes, type Progress, startProgress } from './progress.ts';
import { transportOf } from './transport-flags.ts';
import { trustOf } from './trust-flags.ts';

export async function runMirror(flags: MirrorFlags, io: Io): Promise<number> {
  const target = targetOf(flags);
  const workplace = await workplaceOf(flags, false, io);
  const { images: listed, warnings } = await readImageList(flags, io);
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  const progress = await startProgress(chooseStyle(flags.progress, flags.quiet === true, io.stderr), io);
  let report: MirrorReport;
  let root: string;
  let references: readonly string[];
  try {
    references = distinctImages([...listed, ...(await imagesOfNames(flags, workplace, progress))]);
    root = await trustedRootOf(workplace, progress);
    report = await mirrorImages({ ...workplace, onProgress: progress.report }, { references, target });
    progress.note(summary(report, target));
  } finally {
    progress.finish();
  }
  const directory = flags.config ?? (target.kind === 'layout' ? `${target.directory}/mirror` : undefined);
  const configuration = mirrorConfiguration(target, references, {
    origin: report.origin,
    talosVersions: flags.talosVersion ?? [],
    directory,
  });
  const files = new Map([
    ...configuration.files,
    ['flags.txt', `${configuration.flags.join(' ')}\n`],
    ['images.txt', report.images.map(({ reference }) => `${reference}\n`).join('')],
    ['trusted-root.json', root],
  ]);
  if (directory !== undefined) await writeFiles(directory, files, io);
  io.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ target, ...report, flags: configuration.flags, files: Object.fromEntries(configuration.files) }, null, 2)}\n`
      : formatConfiguration(configuration, directory),
  );
  return 0;
}

/** What names lead to, and the catalogs that say so: a build asks them again. */
async function imagesOfNames(flags: MirrorFlags, around: Workplace, progress: Progress): Promise<string[]> {
  if (!namesAnything(flags)) return [];
  const { imagesInCatalogs } = await import('./catalog-images.ts');
  return imagesInCatalogs(flags, { ...around, onProgress: progress.report, onVerification: progress.verified });
}

function namesAnything({ systemExtension, overlayName, allExtensions, allOverlays }: MirrorFlags): boolean {
  return systemExtension !== undefined || overlayName !== undefined || allExtensions === true || allOverlays === true;
}

/** Exit 5 when anything of the copy is not as it should be. */
export async function runMirrorVerify(flags: MirrorFlags, io: Io): Promise<number> {
  const target = targetOf(flags);
  // Asking nobody else is the point of it.
  const workplace = await workplaceOf(flags, true, io);
  const { images: references } = await readImageList(flags, io);
  const progress = await startProgress(chooseStyle(flags.progress, flags.quiet === true, io.stderr), io);
  let copies: CheckedCopy[];
  try {
    copies = await verifyMirror(
      { ...workplace, onProgress: progress.report, onWarning: progress.warn },
      target,
      references,
    );
  } finally {
    progress.finish();
  }
  io.stdout.write(
    flags.json === true ? `${JSON.stringify({ target, images: copies }, null, 2)}\n` : copies.map(formatCopy).join(''),
  );
  const wrong = copies.filter(({ problem }) => problem !== undefined);
  if (wrong.length === 0) return 0;
  const text = `mirror ${formatMirrorTarget(target)}: ${wrong.length} of ${copies.length} images are not as they should be`;
  io.stderr.write(`${text}\n`);
  return exitCodeOf(new ImagerError('verification', text));
}

function targetOf({ target }: MirrorFlags): MirrorTarget {
  if (target !== '') return parseMirrorTarget(target);
  throw new ImagerError('usage', 'mirror: want where to, oci:DIR or a registry', {
    hint: 'imager mirror oci:./mirror --talos-version v1.13.9',
  });
}

async function workplaceOf(flags: MirrorFlags, keepsRoot: boolean, io: Io): Promise<Workplace> {
  const { platform, signal } = io;
  return {
    platform,
    store: flags.store ?? defaultStoreDirectory(platform),
    transport: await transportOf(flags, platform),
    trust: await trustOf(trustFlags(flags, keepsRoot), io),
    signal,
  };
}

const TRUST_FLAGS = {
  policy: 'policy',
  trustedRoot: 'trusted-root',
  tufUrl: 'tuf-url',
  tufRoot: 'tuf-root',
  store: 'store',
  verifyKey: 'verify-key',
  verifyIdentity: 'verify-identity',
  verifyIdentityRegexp: 'verify-identity-regexp',
  verifyIssuer: 'verify-issuer',
  verifyIssuerRegexp: 'verify-issuer-regexp',
} as const;

/** As builds have them. */
function trustFlags(flags: MirrorFlags, keepsRoot: boolean): FlagValues {
  const given = Object.entries(TRUST_FLAGS).flatMap(([key, name]) => {
    const value = flags[key as keyof typeof TRUST_FLAGS];
    return value === undefined ? [] : [[name, value] as const];
  });
  const switches = new Set(keepsRoot || flags.offline === true ? ['offline'] : []);
  return { text: new Map(given), lists: new Map([['allow-unsigned', flags.allowUnsigned ?? []]]), switches };
}

/** Checked: a root that cannot be read is of no use where there is no other. */
async function trustedRootOf({ platform, trust }: Workplace, progress: Progress): Promise<string> {
  const { trustedRoot, root } = trust!;
  if (trustedRoot === undefined) {
    const { document, warnings } = await root!.find();
    for (const warning of warnings) progress.warn(warning);
    return document;
  }
  const data = await platform.files.read(trustedRoot, TRUSTED_ROOT_LIMIT);
  parseTrustedRoot(data, trustedRoot);
  return new TextDecoder().decode(data);
}

async function writeFiles(directory: string, texts: ReadonlyMap<string, string>, { platform }: Io): Promise<void> {
  for (const [name, text] of texts) {
    const path = `${directory}/${name}`;
    await platform.files.makeDirectory(dirname(path));
    await writeToFile(platform.files, path, ofText(text));
  }
}

function formatConfiguration({ flags, files }: MirrorConfiguration, directory: string | undefined): string {
  const where = directory === undefined ? '' : `# written to ${directory}\n`;
  const sections = [...files].map(([name, text]) => `\n# ${name}\n${text}`);
  return `${where}# flags for builds\n${flags.join(' ')}\n${sections.join('')}`;
}

function summary({ images }: MirrorReport, target: MirrorTarget): string {
  const blobs = images.reduce((sum, image) => sum + image.blobs, 0);
  const size = images.reduce((sum, image) => sum + image.size, 0);
  const attached = images.reduce((sum, image) => sum + image.attached.length, 0);
  const copied = images.reduce((sum, { outcomes }) => sum + outcomes.copied, 0);
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  return `${count(images.length, 'image')}, ${count(attached, 'tag')} of signatures and the like, ${count(blobs, 'blob')}, ${formatBytes(size)} in ${formatMirrorTarget(target)}; ${copied} objects were missing`;
}

function formatCopy({ reference, digest, signature, signedBy, problem }: CheckedCopy): string {
  if (problem !== undefined) return `WRONG ${reference}\n  ${problem}\n`;
  const judged = {
    verified: `signed by ${signedBy}`,
    'not verified': 'needs no signature',
    'no rule': 'no rule about it',
  };
  return `good  ${reference}\n  ${digest}, ${judged[signature]}\n`;
}
