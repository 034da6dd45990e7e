/** `--arch amd64,arm64`: one command line for several architectures. */
import { ImagerError } from '../errors.ts';
import type { FlagValues } from './flags.ts';

/** The flags once for each architecture; as they are when there is a single one, or none. Throws `usage` for a name twice and for an empty one. */
export function flagsByArchitecture(flags: FlagValues): readonly FlagValues[] {
  const text = flags.text.get('arch');
  if (text === undefined || !text.includes(',')) return [flags];
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('') || new Set(names).size < names.length) {
    throw new ImagerError('usage', `flag --arch "${text}": want different architectures, like amd64,arm64`);
  }
  return names.map((name) => ({ ...flags, text: new Map([...flags.text, ['arch', name]]) }));
}
