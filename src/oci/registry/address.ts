/** Which hosts are this machine or its network: what decides about plain HTTP and about following a registry's word. */

export type NearRange = 'loopback' | 'private' | 'link-local' | 'reserved';

/**
 * The special range of an IP literal or of a `localhost` name; `undefined` for all other names and addresses.
 * `hostname` is as `URL.hostname` gives it: lower case, IPv4 with four decimal parts, IPv6 in brackets.
 * Source: RFC 6890, RFC 6761.
 */
export function nearRangeOf(hostname: string): NearRange | undefined {
  const name = hostname.replace(/\.$/, '');
  if (name === 'localhost' || name.endsWith('.localhost')) return 'loopback';
  const ipv4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(name);
  if (ipv4 !== null) return rangeOfIpv4(ipv4.slice(1).map(Number));
  return name.startsWith('[') ? rangeOfIpv6(groupsOf(name.slice(1, -1))) : undefined;
}

/**
 * Whether a registry at `from` may send us to `to` (token server, blob storage): into a special range only from the same
 * one. Otherwise any registry could have us ask, from inside, the services that only listen there.
 */
export function maySendTo(from: URL, to: URL): boolean {
  if (from.host === to.host) return true;
  const range = nearRangeOf(to.hostname);
  return range === undefined || range === nearRangeOf(from.hostname);
}

function rangeOfIpv4([a = 0, b = 0]: readonly number[]): NearRange | undefined {
  if (a === 127) return 'loopback';
  if (a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)) return 'private';
  // 100.64.0.0/10: addresses behind a carrier's translator, as private as the others.
  if (a === 100 && b >= 64 && b < 128) return 'private';
  if (a === 169 && b === 254) return 'link-local';
  return a === 0 || a >= 224 ? 'reserved' : undefined;
}

function rangeOfIpv6(groups: readonly number[]): NearRange | undefined {
  const [first = 0, second = 0] = groups;
  const leadingZeros = groups.findIndex((group) => group !== 0);
  const embedded = [groups[6]! >> 8, groups[6]! & 0xff, groups[7]! >> 8, groups[7]! & 0xff];
  if (leadingZeros === -1) return 'reserved';
  if (leadingZeros === 7 && groups[7] === 1) return 'loopback';
  // An IPv4 address in IPv6 clothes: mapped, compatible, or behind the well-known NAT64 prefix.
  if (leadingZeros >= 6 || (leadingZeros === 5 && groups[5] === 0xffff)) return rangeOfIpv4(embedded);
  if (first === 0x64 && second === 0xff9b) return rangeOfIpv4(embedded);
  if ((first & 0xfe00) === 0xfc00) return 'private';
  if ((first & 0xffc0) === 0xfe80) return 'link-local';
  return (first & 0xff00) === 0xff00 ? 'reserved' : undefined;
}

/** The eight groups of an IPv6 address in the form URLs have it: hexadecimal, at most one `::`. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [parse(head), parse(tail ?? '')];
  const missing = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<number>(Math.max(0, missing)).fill(0), ...after];
}
