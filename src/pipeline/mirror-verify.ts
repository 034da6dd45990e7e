/** `imager mirror verify`: whether a copy is whole and its signatures hold, asking nobody else. */
import { ImagerError, invalid } from '../errors.ts';
import { collectImage } from '../oci/copy.ts';
import { checkDigest, finishDigest } from '../oci/digest-check.ts';
import type { Descriptor, ImageSource } from '../oci/image-source.ts';
import { openLayout, REF_NAME } from '../oci/local/layout.ts';
import { layoutMirror } from '../oci/local/layout-mirror.ts';
import { type ImageIndex, MANIFEST_LIMIT, parseManifest } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { formatReference, parseReference, parseStrictReference, type Reference } from '../oci/reference.ts';
import { registrySource } from '../oci/registry/registry.ts';
import { receive } from '../oci/store/receive.ts';
import type { Platform } from '../platform/types.ts';
import { nameForRules, rulingFor } from '../trust/rules.ts';
import { distinctImages } from './image-list.ts';
import { type MirrorTarget, repositoryIn } from './mirror-target.ts';
import { type ImageVerification, type OnVerification, verifyUse } from './verify-image.ts';
import type { Workplace } from './workplace.ts';

export interface CheckedCopy {
  readonly reference: string;
  /** Absent when the image is not there. */
  readonly digest?: string;
  readonly manifests: number;
  readonly blobs: number;
  /** Of the blobs, bytes. */
  readonly size: number;
  /** `no rule` where nothing says who has to have signed it. */
  readonly signature: ImageVerification['status'] | 'no rule';
  readonly signedBy?: string;
  /** What is wrong with it. */
  readonly problem?: string;
}

/**
 * Every byte of every image, by digest, and its signatures by the rules; of a layout all images it names unless told which. A problem of one image is told with it. Throws
 * `usage` for a registry without a list of images, `invalid-input` for what is no layout, `io`, `canceled`.
 */
export async function verifyMirror(
  workplace: Workplace,
  target: MirrorTarget,
  references: readonly string[],
): Promise<CheckedCopy[]> {
  const source = await sourceIn(workplace, target);
  const names =
    references.length > 0 || target.kind === 'registry' ? references : await namesIn(workplace.platform, target);
  if (names.length === 0) {
    throw new ImagerError('usage', 'mirror verify: no images, want --image, --profile or --talos-version', {
      hint: 'only a layout says itself which images it has',
    });
  }
  const wanted = distinctImages(names).map(parseReference);
  const checked: CheckedCopy[] = [];
  for (const reference of wanted) {
    checked.push(await checkedCopy(workplace, source(reference), reference));
    workplace.onProgress?.({ task: 'checking images', done: checked.length, total: wanted.length, unit: 'step' });
  }
  return checked;
}

type OpenCopy = (reference: Reference) => ImageSource;

async function sourceIn({ platform, transport }: Workplace, target: MirrorTarget): Promise<OpenCopy> {
  if (target.kind === 'layout') {
    const layout = await openLayout(platform, target.directory);
    return (reference) => layoutMirror([layout], reference, undefined);
  }
  const { insecure = false } = transport;
  const { registry } = target;
  return (reference) =>
    registrySource(platform, { registry, repository: repositoryIn(target, reference) }, { insecure });
}

/** Images, without what is attached to them. */
async function namesIn(
  { files }: Platform,
  { directory }: Extract<MirrorTarget, { readonly kind: 'layout' }>,
): Promise<string[]> {
  const raw = await files.read(`${directory}/index.json`, MANIFEST_LIMIT);
  const what = `oci:${directory}: index.json`;
  const index = parseManifest({ raw, mediaType: OCI_INDEX, digest: '' as ImageIndex['manifests'][0]['digest'] }, what);
  if (index.kind !== 'index') throw invalid(`${what}: no index`);
  const names = index.manifests.map(({ annotations }) => annotations?.[REF_NAME] ?? '');
  return names.filter((name) => isWhole(name) && !/:sha256-[^/]*$/.test(name));
}

function isWhole(name: string): boolean {
  try {
    parseStrictReference(name);
    return true;
  } catch {
    return false;
  }
}

async function checkedCopy(workplace: Workplace, source: ImageSource, reference: Reference): Promise<CheckedCopy> {
  const { platform, signal, trust = { rules: [], otherwise: [] } } = workplace;
  let copy: CheckedCopy = {
    reference: formatReference(reference),
    manifests: 0,
    blobs: 0,
    size: 0,
    signature: 'no rule',
  };
  try {
    const { digest, documents, blobs } = await collectImage(platform, source, reference, signal);
    copy = { ...copy, digest, manifests: documents.size };
    for (const blob of blobs.values()) {
      await checkBlob(platform, source, blob, signal);
      copy = { ...copy, blobs: copy.blobs + 1, size: copy.size + blob.size };
    }
    const { demand } = rulingFor(nameForRules(reference), trust.rules, trust.otherwise);
    if (demand.kind === 'unknown') return copy;
    let found: ImageVerification | undefined;
    const onVerification: OnVerification = (verification, warnings) => {
      found = verification;
      for (const warning of warnings) workplace.onWarning?.(warning);
    };
    await verifyUse({ ...workplace, onVerification }, reference, digest, source, 'served');
    return { ...copy, signature: found!.status, ...signerOf(found!) };
  } catch (error) {
    if (!(error instanceof ImagerError) || error.code === 'canceled') throw error;
    return { ...copy, problem: error.message };
  }
}

function signerOf({ status, subject }: ImageVerification): { readonly signedBy?: string } {
  return status === 'verified' ? { signedBy: subject ?? 'the key' } : {};
}

async function checkBlob(
  platform: Platform,
  source: ImageSource,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = platform.hash('sha256');
  for await (const chunk of receive(source, descriptor, 0, signal)) hash.update(chunk);
  checkDigest(finishDigest(hash), descriptor.digest, `${source.label}: blob ${descriptor.digest}`);
}
