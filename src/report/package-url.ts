/** Package URLs of images (purl-spec, type oci). */
import type { ReportedInput } from './build-report.ts';

/** `pkg:oci/imager@sha256%3A...?arch=amd64&repository_url=ghcr.io/siderolabs/imager&tag=v1.13.0`; `undefined` for what no registry has. */
export function packageUrlOf({ digest, image }: ReportedInput): string | undefined {
  if (image === undefined) return undefined;
  const { repository, tag } = image;
  const name = repository.slice(repository.lastIndexOf('/') + 1);
  const qualifiers = [`repository_url=${encode(repository)}`, ...(tag === undefined ? [] : [`tag=${encode(tag)}`])];
  return `pkg:oci/${encode(name)}@${encode(digest)}?${qualifiers.join('&')}`;
}

/** The slashes of a repository need no encoding in a qualifier. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}
