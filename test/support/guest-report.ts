/** What the demonstration system (`scripts/demo/init`) said on the serial line. */
import { gunzipSync } from 'node:zlib';

export interface GuestReport {
  /** `x86_64` or `aarch64`. */
  readonly machine: string;
  /** Kernel release. */
  readonly kernel: string;
  /** As the kernel got it. */
  readonly cmdline: string;
  readonly firmware: 'uefi' | 'other';
  /** EFI variables by name: numbers as text for `SecureBoot` and `SetupMode`, else text. */
  readonly variables: Readonly<Record<string, string>>;
  /** PCR 11 by bank, hexadecimal in upper case; empty without a TPM. */
  readonly pcr11: Readonly<Record<string, string>>;
  /** META text from the command line, decoded. */
  readonly meta: string | undefined;
  /** Of NVMe disks, by name, in bytes. */
  readonly partitions: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
  /** The whole META partition of an NVMe disk. */
  readonly diskMeta: Uint8Array | undefined;
  /** Files of the initramfs that have the content it was made with, and how many it was made with. */
  readonly files: { readonly sound: number; readonly total: number };
  readonly damaged: readonly string[];
  /** SHA-256 of files that came from elsewhere, by path with a leading slash. */
  readonly extra: Readonly<Record<string, string>>;
}

/** Reads a serial log. Throws with its last lines when there is no whole report in it. */
export function parseGuestReport(serial: string): GuestReport {
  const lines = serial.split(/\r*\n/);
  const start = lines.lastIndexOf('demo begin');
  const end = lines.indexOf('demo end', start);
  if (start < 0 || end < 0) throw new Error(`no report on the serial line, which ends with:\n${lastLines(serial)}`);
  const facts = lines.slice(start + 1, end).map((line) => {
    const [, word, value] = /^demo (\S+) ?(.*)$/.exec(line) ?? [];
    return { word, value: value ?? '' };
  });
  const all = (word: string): string[] => facts.filter((fact) => fact.word === word).map(({ value }) => value);
  const pairs = (word: string): Record<string, string> =>
    Object.fromEntries(all(word).map((value) => splitAtBlank(value)));
  const one = (word: string): string => {
    const [value] = all(word);
    if (value === undefined) throw new Error(`the report has no line "${word}":\n${lastLines(serial)}`);
    return value;
  };
  const [sound, , total] = one('files').split(' ');
  const meta = all('meta')[0];
  const diskMeta = all('disk-meta')[0];
  return {
    machine: one('machine'),
    kernel: one('kernel'),
    cmdline: one('cmdline'),
    firmware: one('firmware') === 'uefi' ? 'uefi' : 'other',
    variables: pairs('variable'),
    pcr11: pairs('pcr11'),
    meta: meta === undefined ? undefined : Buffer.from(meta, 'base64').toString('utf8'),
    partitions: Object.fromEntries(all('partition').map(partitionOf)),
    diskMeta: diskMeta === undefined ? undefined : gunzipSync(Buffer.from(diskMeta, 'base64')),
    files: { sound: Number(sound), total: Number(total) },
    damaged: all('damaged'),
    extra: Object.fromEntries(
      all('extra').map((value) => {
        const [sum, path] = value.split(/ +\.(?=\/)/);
        return [path!, sum!];
      }),
    ),
  };
}

function partitionOf(value: string): [string, { readonly offset: number; readonly size: number }] {
  const [, start, count, name] = /^(\d+) (\d+) (.+)$/.exec(value)!;
  return [name!, { offset: Number(start) * 512, size: Number(count) * 512 }];
}

function splitAtBlank(text: string): [string, string] {
  const at = text.indexOf(' ');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** The end of a serial log without what moves the cursor. */
export function lastLines(serial: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  const plain = serial.replaceAll(/\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9])/g, '').replaceAll('\r', '');
  return plain.split('\n').slice(-40).join('\n');
}
