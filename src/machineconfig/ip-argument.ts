/** `ip=ADDR:SERVER:GW:MASK:HOST:DEV:AUTO:DNS0:DNS1:NTP` and its short forms (spec machine-config 6). */
import { formatAddress, type IpAddress, isMistake, leadingOnes, type Mistake, parseAddress } from './address.ts';
import { parseDecimal } from './command-line.ts';

export type IpArgument =
  /** `dhcp` alone: what happens anyway. */
  { readonly form: 'default' } | { readonly form: 'dhcp'; readonly device: string } | IpSettings;

export interface IpSettings {
  readonly form: 'settings';
  /** `10.0.0.2/24`, or `invalid Prefix` where the mask gives none: upstream goes on with it. */
  readonly address?: string;
  readonly gateway?: string;
  readonly hostname?: string;
  /** `''`: the first link. */
  readonly device: string;
  readonly dhcp: boolean;
  readonly dns: readonly string[];
  readonly ntp: readonly string[];
}

const FIELDS = [
  'address',
  'server',
  'gateway',
  'mask',
  'hostname',
  'device',
  'autoconf',
  'DNS 0',
  'DNS 1',
  'NTP',
] as const;

export function parseIpArgument(value: string): IpArgument | Mistake {
  const fields = splitFields(value);
  if (fields.length === 1 && fields[0] === 'dhcp') return { form: 'default' };
  if (fields.length === 2 && fields[1] === 'dhcp') return { form: 'dhcp', device: fields[0] ?? '' };
  return parseSettings(fields);
}

/** Fields at colons outside of brackets; brackets at the ends of a field are dropped, however many. */
export function splitFields(value: string): readonly string[] {
  const fields: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= value.length; at++) {
    const character = value[at];
    if (character === '[') depth++;
    else if (character === ']') depth--;
    if (at < value.length && (character !== ':' || depth !== 0)) continue;
    fields.push(value.slice(start, at).replaceAll(/^[[\]]+|(?<![[\]])[[\]]+$/g, ''));
    start = at + 1;
  }
  return fields;
}

function parseSettings(fields: readonly string[]): IpSettings | Mistake {
  const addresses = new Map<number, IpAddress>();
  for (const index of [0, 2, 7, 8, 9]) {
    const text = fields[index] ?? '';
    if (text === '') continue;
    const address = parseAddress(text);
    if (isMistake(address)) return { mistake: `${FIELDS[index]} "${text}": ${address.mistake}` };
    addresses.set(index, address);
  }
  const address = addresses.get(0);
  const bits = maskBits(fields[3] ?? '', address);
  if (typeof bits === 'object') return bits;
  const gateway = addresses.get(2);
  const hostname = fields[4] ?? '';
  return {
    form: 'settings',
    ...(address === undefined ? {} : { address: formatBits(address, bits) }),
    ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    ...(hostname === '' ? {} : { hostname }),
    device: fields[5] ?? '',
    dhcp: fields[6] === 'dhcp',
    dns: [7, 8].flatMap((index) => (addresses.has(index) ? [formatAddress(addresses.get(index)!)] : [])),
    ntp: addresses.has(9) ? [formatAddress(addresses.get(9)!)] : [],
  };
}

/** A number or a mask; nothing means all bits. */
function maskBits(mask: string, address: IpAddress | undefined): bigint | Mistake {
  if (mask === '') return BigInt((address?.bytes.length ?? 4) * 8);
  const number = parseDecimal(mask);
  if (number !== undefined) return number;
  const parsed = parseAddress(mask);
  if (isMistake(parsed)) return { mistake: `netmask "${mask}": neither a prefix length nor a mask` };
  return BigInt(leadingOnes(parsed.bytes) ?? 0);
}

function formatBits(address: IpAddress, bits: bigint): string {
  if (bits < 0n || bits > BigInt(address.bytes.length * 8)) return 'invalid Prefix';
  return `${formatAddress({ bytes: address.bytes })}/${bits}`;
}
