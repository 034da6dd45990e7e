/** `imager completion SHELL`, and the hidden `imager complete -- WORDS` that its scripts ask at every TAB. */
import attach from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import { FLAGS } from './flags.ts';

/**
 * Adds both commands of the library to the finished command tree. For bash three things stand around its script: what it takes from the package
 * bash-completion where that is not installed, file names where there is nothing else to offer, and no complaint about its constants where a
 * shell reads it once more.
 */
export function addCompletion(program: Command, args: readonly string[], print: (text: string) => void): void {
  attach(program, { completionCommandName: 'completion' });
  if (args[0] !== 'completion' || args[1] !== 'bash') return;
  program.hook('preAction', () => print(BASH_BEFORE));
  program.hook('postAction', () => print(BASH_AFTER));
}

const BASH_BEFORE = `declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() {
    words=("\${COMP_WORDS[@]}") cword=$COMP_CWORD cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
}
[ -z "\${ShellCompDirectiveError+set}" ] || readonly() { :; }
`;
const BASH_AFTER = 'unset -f readonly\ncomplete -o default -F __imager_complete imager\n';

/**
 * Answers `imager complete -- WORDS` where a file or directory is wanted: the library has no word for that, but the scripts take `:0` for nothing
 * to offer and no wish against file names.
 */
export function askForPath(args: readonly string[], print: (text: string) => void): boolean {
  const [command, , ...words] = args;
  if (command !== 'complete') return false;
  const [current = '', before] = [words.at(-1), words.at(-2)];
  const given = /^(--[^=]+)=/.exec(current)?.[1] ?? before;
  const flag = FLAGS.find(({ name, short }) => given === `--${name}` || given === `-${short}`);
  if (flag?.value !== 'FILE' && flag?.value !== 'DIR') return false;
  print(':0\n');
  return true;
}
