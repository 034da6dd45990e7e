/** Installers into a registry. */
import { ImagerError } from '../errors.ts';
import { type PushReport, pushImages } from '../oci/registry/push.ts';
import { formatPushTarget, type PushTarget } from '../oci/registry/push-target.ts';
import type { InstallerArtifact } from './installer-artifact.ts';
import type { Workplace } from './workplace.ts';

/**
 * Pushes installers of one or several architectures, several as one index. Only what the repository has not is uploaded; what another of its registry has is taken over
 * from there. Without a tag in `target` they are there by digest alone. Throws `dependency` when the registry is out of reach or refuses, and offline; `verification`, `io`, `canceled`.
 */
export async function pushInstaller(
  workplace: Workplace,
  artifacts: readonly InstallerArtifact[],
  target: PushTarget,
): Promise<PushReport> {
  const { platform, transport, signal, onProgress } = workplace;
  if (transport.offline === true) {
    throw new ImagerError('dependency', `push to ${formatPushTarget(target)}: offline nothing is contacted`);
  }
  const images = artifacts.map(({ image }) => image);
  return pushImages(platform, target, images, {
    mirrors: transport.mirrors ?? {},
    insecure: transport.insecure === true,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}
