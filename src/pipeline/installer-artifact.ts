/** A finished installer, for a file as for a registry. */
import type { ComposedImage } from '../oci/composed-image.ts';
import { writeToLayout } from '../oci/local/write-layout.ts';
import type { Artifact } from './artifact.ts';
import { acquireInput, finishArtifact } from './build.ts';
import { installerArchive, installerImage } from './installer.ts';
import type { Plan, PlanRequest } from './plan.ts';
import type { Workplace } from './workplace.ts';

/** Its bytes are what `docker load` reads; the image is the same in parts. */
export interface InstallerArtifact extends Artifact {
  readonly image: ComposedImage;
}

/**
 * As `build`, for output kind installer. Throws what `build` throws.
 *
 * @example
 * const artifact = await buildInstaller(workplace, request, plan);
 * await pushInstaller(workplace, [artifact], parsePushTarget('registry.example/installer:v1.13.0'));
 */
export async function buildInstaller(
  workplace: Workplace,
  request: PlanRequest,
  plan: Plan,
): Promise<InstallerArtifact> {
  if (request.profile.output.kind !== 'installer') {
    throw new RangeError(`output kind ${request.profile.output.kind}: only an installer is an image`);
  }
  const input = await acquireInput(workplace, request, plan);
  const image = await installerImage(input);
  const artifact = await finishArtifact(workplace, request, plan, installerArchive(input, image));
  return { ...artifact, image };
}

/** How files of a layout are written. */
export interface InstallerLayoutOptions {
  /** Flush to the disk. */
  readonly sync?: boolean;
  /** Distinguishes temporary names of writers at work at once. */
  readonly temporarySuffix?: string;
}

/**
 * Puts installers of one or several architectures under `name` into the OCI image layout in `directory`, which is made when it is not there, and returns
 * the digest of the manifest or index. Throws `invalid-input` for a directory that holds something else, `io`, `canceled`.
 */
export async function writeInstallerLayout(
  workplace: Workplace,
  artifacts: readonly InstallerArtifact[],
  directory: string,
  name: string,
  options: InstallerLayoutOptions = {},
): Promise<string> {
  const { platform, signal, onProgress } = workplace;
  const task = `writing oci:${directory}:${name}`;
  const images = artifacts.map(({ image }) => image);
  const { digest } = await writeToLayout(platform, directory, name, images, {
    ...options,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => onProgress?.({ task, done, total, unit: 'bytes' }),
  });
  return digest;
}
