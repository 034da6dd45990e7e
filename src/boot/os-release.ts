/** The os-release text of a UKI (section `.osrel`), which boot loaders show in their menus. Source: spec boot-and-images 1.2. */
import { invalid } from '../errors.ts';

export interface OsRelease {
  /** Profile name; empty means `Talos`. */
  readonly name: string;
  /** Verbatim, with its `v`. */
  readonly version: string;
}

const DEFAULT_NAME = 'Talos';

/** Eight lines with a newline each; values are not escaped, as upstream. Throws `invalid-input` for a line break in a value. */
export function formatOsRelease(release: OsRelease): string {
  const name = release.name === '' ? DEFAULT_NAME : release.name;
  checkOneLine('name', name);
  checkOneLine('version', release.version);
  const lines = [
    `NAME="${name}"`,
    `ID=${identifier(name)}`,
    `VERSION_ID=${release.version}`,
    `PRETTY_NAME="${name} (${release.version})"`,
    'HOME_URL="https://www.talos.dev/"',
    'BUG_REPORT_URL="https://github.com/siderolabs/talos/issues"',
    'VENDOR_NAME="Sidero Labs"',
    'VENDOR_URL="https://www.siderolabs.com/"',
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Lower case one character at a time, as Go does: JavaScript makes two of U+0130 and looks at what surrounds a sigma. */
function identifier(name: string): string {
  return [...name.replaceAll(' ', '_')].map((character) => [...character.toLowerCase()][0]).join('');
}

function checkOneLine(what: string, text: string): void {
  if (!/\p{Cc}/u.test(text)) return;
  throw invalid(`os-release ${what} ${JSON.stringify(text)}: control characters, want one line of text`);
}
