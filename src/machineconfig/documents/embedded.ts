/**
 * The machine configuration of an image, checked before it is packed: upstream takes any bytes, and the node finds out at boot,
 * where nobody is looking. Source: spec machine-config 1, "Configuration in an image".
 */
import { problemsError, renderProblem } from '../../yaml/diagnostic.ts';
import { type ConfigMode, checkMachineConfig } from './check.ts';

export interface EmbeddedConfigOptions {
  /** What messages call the text. */
  readonly file?: string;
  /** Platform of the image: what validation asks for depends on it. */
  readonly platform: string;
  /** The Talos of the image. */
  readonly talosVersion: string;
}

/**
 * Throws one `invalid-input` error with everything the node would refuse, and returns the warnings with their source lines.
 * A configuration without root document is fine here: the node applies it and asks its next source for the rest.
 */
export function checkEmbeddedConfig(text: string, options: EmbeddedConfigOptions): readonly string[] {
  const { file = 'embedded machine configuration', platform, talosVersion } = options;
  const mode = modeOfPlatform(platform);
  const { source, problems } = checkMachineConfig(text, file, { mode, talosVersion, partial: true });
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw problemsError(source, errors);
  return problems.map((problem) => renderProblem(source, problem));
}

export function modeOfPlatform(platform: string): ConfigMode {
  return platform === 'metal' || platform === 'container' ? platform : 'cloud';
}
