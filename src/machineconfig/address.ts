/** IP addresses and prefixes with the grammar of Go's `netip`, which decides what a node accepts. */

/** 4 or 16 bytes, most significant first. */
export interface IpAddress {
  readonly bytes: readonly number[];
  /** The part after `%`, IPv6 only. */
  readonly zone?: string;
}

export interface IpPrefix {
  readonly address: IpAddress;
  /** Leading bits, 0..32 or 0..128. Host bits of `address` are kept. */
  readonly bits: number;
}

/** What is wrong, as the end of a sentence that began with the value. */
export interface Mistake {
  readonly mistake: string;
}

export function isMistake<T extends object>(value: T | Mistake): value is Mistake {
  return 'mistake' in value;
}

export function isIpv4(address: IpAddress): boolean {
  return address.bytes.length === 4;
}

/** IPv4 dotted with four numbers without leading zeros, or IPv6 with an optional zone. */
export function parseAddress(text: string): IpAddress | Mistake {
  const first = /[.:%]/.exec(text)?.[0];
  if (first === '.') return parseIpv4(text);
  if (first === ':') return parseIpv6(text);
  return { mistake: 'no IP address' };
}

/** `address/bits`: bits decimal without leading zero, no zone. */
export function parsePrefix(text: string): IpPrefix | Mistake {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return { mistake: 'no prefix length' };
  const address = parseAddress(text.slice(0, slash));
  if (isMistake(address)) return address;
  if (address.zone !== undefined) return { mistake: 'a zone in a prefix' };
  const bits = text.slice(slash + 1);
  const most = address.bytes.length * 8;
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(bits)) return { mistake: `prefix length "${bits}" is no number 0..${most}` };
  if (Number(bits) > most) return { mistake: `prefix length ${bits} above ${most}` };
  return { address, bits: Number(bits) };
}

/** The canonical form: IPv6 as RFC 5952 says, IPv4 in IPv6 as `::ffff:1.2.3.4`. */
export function formatAddress(address: IpAddress): string {
  const { bytes, zone } = address;
  if (isIpv4(address)) return bytes.join('.');
  const suffix = zone === undefined ? '' : `%${zone}`;
  if (isMappedIpv4(bytes)) return `::ffff:${bytes.slice(12).join('.')}${suffix}`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes[2 * index]! * 256 + bytes[2 * index + 1]!);
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  const text = length < 2 ? hex.join(':') : `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
  return text + suffix;
}

export function formatPrefix(prefix: IpPrefix): string {
  return `${formatAddress(prefix.address)}/${prefix.bits}`;
}

/** Whether the prefix covers the address; never across families, zones are not looked at. */
export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.bytes.length !== address.bytes.length) return false;
  return address.bytes.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefix.bits - index * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (byte & mask) === (prefix.address.bytes[index]! & mask);
  });
}

/** fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  return !isIpv4(address) && address.bytes[0] === 0xfe && (address.bytes[1]! & 0xc0) === 0x80;
}

export function isUnspecified(address: IpAddress): boolean {
  return address.bytes.every((byte) => byte === 0);
}

/** The prefix length that a netmask means; `undefined` when ones follow zeros. */
export function leadingOnes(bytes: readonly number[]): number | undefined {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.replace(/0+$/, '').length : undefined;
}

function parseIpv4(text: string): IpAddress | Mistake {
  const bytes = parseDotted(text);
  return Array.isArray(bytes) ? { bytes } : (bytes as Mistake);
}

function parseDotted(text: string): number[] | Mistake {
  const fields = text.split('.');
  for (const field of fields) {
    if (!/^[0-9]+$/.test(field)) {
      return { mistake: field === '' ? 'an IPv4 field without a digit' : `unexpected "${field}" in an IPv4 address` };
    }
    if (field.length > 1 && field.startsWith('0')) return { mistake: `IPv4 field ${field} has a leading zero` };
    if (Number(field) > 255) return { mistake: `IPv4 field ${field} above 255` };
  }
  if (fields.length !== 4) return { mistake: `${fields.length} IPv4 fields, not 4` };
  return fields.map(Number);
}

function parseIpv6(text: string): IpAddress | Mistake {
  const percent = text.indexOf('%');
  const zone = percent < 0 ? undefined : text.slice(percent + 1);
  if (zone === '') return { mistake: 'an empty zone after %' };
  const plain = percent < 0 ? text : text.slice(0, percent);
  const bytes = parseGroups(plain);
  if (!Array.isArray(bytes)) return bytes as Mistake;
  return zone === undefined ? { bytes } : { bytes, zone };
}

function parseGroups(text: string): number[] | Mistake {
  const halves = text.split('::');
  if (halves.length > 2) return { mistake: 'more than one ::' };
  const [head = '', tail] = halves;
  const before = parseHalf(head, tail === undefined);
  if (!Array.isArray(before)) return before as Mistake;
  if (tail === undefined) {
    return before.length === 16 ? before : { mistake: `${before.length / 2} IPv6 groups, not 8` };
  }
  const after = parseHalf(tail, true);
  if (!Array.isArray(after)) return after as Mistake;
  const zeros = 16 - before.length - after.length;
  if (zeros < 2) return { mistake: ':: stands for nothing, all groups are there' };
  return [...before, ...new Array<number>(zeros).fill(0), ...after];
}

/** Groups of four hexadecimal digits; a dotted IPv4 address may be the last if `mayEndDotted`. */
function parseHalf(text: string, mayEndDotted: boolean): number[] | Mistake {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      if (!mayEndDotted || index < groups.length - 1) return { mistake: 'a dotted address before the end' };
      const dotted = parseDotted(group);
      if (!Array.isArray(dotted)) return dotted as Mistake;
      bytes.push(...dotted);
      continue;
    }
    if (group === '') return { mistake: 'an IPv6 group without a digit' };
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return { mistake: `IPv6 group "${group}" is not 1..4 hexadecimal digits` };
    const value = Number.parseInt(group, 16);
    bytes.push(value >> 8, value & 0xff);
  }
  return bytes;
}

function isMappedIpv4(bytes: readonly number[]): boolean {
  return bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
