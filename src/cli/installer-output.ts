/** Where an installer goes: into files, into an OCI image layout, into a registry. */
import { ImagerError } from '../errors.ts';
import { type PushTarget, parsePushTarget } from '../oci/registry/push-target.ts';
import { splitNamedPath } from '../pipeline/asset-source.ts';
import type { FinalProfile } from '../profiles/resolve.ts';
import type { FlagValues } from './flags.ts';

export interface InstallerOutput {
  /** What lies on this machine in the end; `nothing` only when it is pushed. */
  readonly local:
    | { readonly kind: 'nothing' | 'stdout' }
    | { readonly kind: 'archives'; readonly directory: string }
    /** Without a name it is the Talos version. */
    | { readonly kind: 'layout'; readonly directory: string; readonly name: string | undefined };
  readonly push: PushTarget | undefined;
}

/** Whether the flags ask for what only an installer can be. */
export function wantsImage({ text }: FlagValues): boolean {
  return (
    text.has('push') || text.get('output')?.startsWith('oci:') === true || text.get('arch')?.includes(',') === true
  );
}

/** Throws `usage` and `invalid-input` for flags that do not go together. */
export function installerOutput({ text, switches }: FlagValues): InstallerOutput {
  const reference = text.get('push');
  const push = reference === undefined ? undefined : parsePushTarget(reference);
  if (push !== undefined && switches.has('offline')) {
    throw new ImagerError('usage', 'flags --push and --offline: want one of them');
  }
  const output = text.get('output');
  const local =
    output === undefined && push !== undefined && !switches.has('tar-to-stdout')
      ? { kind: 'nothing' as const }
      : localOutput(output ?? '_out');
  return { local, push };
}

function localOutput(output: string): InstallerOutput['local'] {
  if (output === '-') return { kind: 'stdout' };
  if (!output.startsWith('oci:')) return { kind: 'archives', directory: output };
  const { path: directory, name } = splitNamedPath(output.slice('oci:'.length));
  if (directory === '' || name === '') {
    throw new ImagerError('usage', `flag --output "${output}": want oci:DIR or oci:DIR:NAME`);
  }
  return { kind: 'layout', directory, name };
}

/** What the output cannot be for these profiles, the first of which has all but the architecture of the others. Throws `usage`. */
export function checkInstallerOutput({ local, push }: InstallerOutput, profiles: readonly FinalProfile[]): void {
  const [{ output }] = profiles as [FinalProfile];
  if (output.kind !== 'installer') {
    const wish =
      push !== undefined ? 'flag --push' : local.kind === 'layout' ? 'flag --output oci:' : 'flag --arch with several';
    throw new ImagerError(
      'usage',
      `${wish}: only an installer is a container image, this is output kind ${output.kind}`,
      {
        hint: 'imager installer',
      },
    );
  }
  if (local.kind === 'stdout' && profiles.length > 1) {
    throw new ImagerError('usage', 'flag --output -: one archive only fits, there are several architectures');
  }
  if (output.outFormat !== 'raw' && local.kind !== 'archives' && local.kind !== 'stdout') {
    throw new ImagerError('usage', `output format ${output.outFormat}: only an archive in a file is compressed`, {
      hint: 'layers are compressed already',
    });
  }
}
