/** Tar archives entry by entry, valid or not: what no well-behaved writer would make. */

export interface TestEntry {
  readonly name: string;
  /** Type flag, default '0'. */
  readonly type?: string;
  readonly link?: string;
  readonly data?: string | Uint8Array;
  readonly mode?: number;
  readonly uid?: number;
  readonly mtime?: number;
  /** What the size field says, default the size of `data`. */
  readonly size?: number;
  /** Written over the header before the checksum is computed. */
  readonly patches?: readonly { readonly at: number; readonly bytes: Uint8Array | string }[];
}

/** Two zero blocks at the end unless `end` says otherwise. */
export function tar(entries: readonly TestEntry[], end: number = 1024): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(end)]);
}

export function tarEntry(entry: TestEntry): Buffer {
  const data = Buffer.from((entry.data ?? '') as string);
  const header = Buffer.alloc(512);
  const type = entry.type ?? '0';
  header.write(entry.name, 0, 100, 'utf8');
  header.write(octal(entry.mode ?? (type === '5' ? 0o755 : 0o644), 8), 100, 'latin1');
  header.write(octal(entry.uid ?? 0, 8), 108, 'latin1');
  header.write(octal(0, 8), 116, 'latin1');
  header.write(octal(entry.size ?? data.length, 12), 124, 'latin1');
  header.write(octal(entry.mtime ?? 1_700_000_000, 12), 136, 'latin1');
  header.write(type, 156, 1, 'latin1');
  header.write(entry.link ?? '', 157, 100, 'utf8');
  header.write('ustar\x0000', 257, 'latin1');
  for (const { at, bytes } of entry.patches ?? []) header.set(Buffer.from(bytes as string), at);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, data, Buffer.alloc(-data.length & 511)]);
}

/** An extended header (`x`) with records given as text. */
export function pax(records: Readonly<Record<string, string | Uint8Array>>, type = 'x'): TestEntry {
  const data = Buffer.concat(
    Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value as string))),
  );
  return { name: 'PaxHeaders.0/x', type, data };
}

export function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`;
}
