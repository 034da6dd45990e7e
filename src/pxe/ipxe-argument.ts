/**
 * Kernel arguments as words of an iPXE script. iPXE cuts a line at blanks, ends a command at the words `;`, `||` and `&&` and at a word that
 * begins with `#`, joins a line that ends in a backslash to the next, and replaces `${name}` within each word. It knows no quotes and no escape
 * character; what it would take for its own is written as a setting that has the character as its value.
 * Source: iPXE core/exec.c system(), core/settings.c expand_settings(), image/script.c process_script().
 */
import { invalid } from '../errors.ts';

/** Characters that need a setting, by the name of that setting. */
const SETTINGS = {
  hash: '#',
  semicolon: ';',
  pipe: '|',
  ampersand: '&',
  backslash: '\\',
} as const;

type SettingName = keyof typeof SETTINGS;

/** Arguments, and the commands that must come before the one that has them. */
export interface IpxeArguments {
  /** `set hash:hex 23`, one for each character that could not be written. */
  readonly settings: readonly string[];
  /** Begins with a blank unless there are none. */
  readonly text: string;
}

/**
 * The words of a kernel command line as the last words of a script line. Throws `invalid-input` for control characters, and for a word with `${...}`:
 * iPXE goes on replacing until none is left, so no setting can bring one in.
 */
export function formatIpxeArguments(cmdline: string): IpxeArguments {
  const words = cmdline.split(' ').filter((word) => word !== '');
  const used = new Set<SettingName>();
  const use = (name: SettingName): string => {
    used.add(name);
    return `\${${name}:string}`;
  };
  const written = words.map((word, index) => {
    checkWord(word);
    const whole = escapeStart(word, use);
    return index === words.length - 1 && whole.endsWith('\\') ? whole.slice(0, -1) + use('backslash') : whole;
  });
  return { settings: [...used].map(settingCommand), text: written.map((word) => ` ${word}`).join('') };
}

function escapeStart(word: string, use: (name: SettingName) => string): string {
  if (word.startsWith('#')) return use('hash') + word.slice(1);
  switch (word) {
    case ';':
      return use('semicolon');
    case '||':
      return `${use('pipe')}|`;
    case '&&':
      return `${use('ampersand')}&`;
    default:
      return word;
  }
}

function checkWord(word: string): void {
  if (/\p{Cc}/u.test(word)) throw refusal(word, 'no control characters');
  const variable = word.indexOf('${');
  if (variable < 0 || word.lastIndexOf('}') < variable) return;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: these are the characters meant
  throw refusal(word, 'no ${...}, which iPXE replaces and has no way to write', {
    hint: 'a UKI has its command line inside: build one with imager metal-uki and boot it by UEFI HTTP boot',
  });
}

function refusal(word: string, wish: string, more: { readonly hint?: string } = {}): Error {
  const shown = word.length > 80 ? `${word.slice(0, 80)}...` : word;
  return invalid(`kernel argument ${JSON.stringify(shown)}: want ${wish}`, more);
}

function settingCommand(name: SettingName): string {
  return `set ${name}:hex ${SETTINGS[name].charCodeAt(0).toString(16)}`;
}
