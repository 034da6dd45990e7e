/** Scalars of machine configuration documents with a grammar of their own. Source: spec machine-config 2. */
import { isBase64 } from '../../yaml/base64.ts';
import type { ScalarNode } from '../../yaml/document.ts';
import { asInteger, asText, resolveScalar } from '../../yaml/scalar.ts';
import { TypedScalar } from '../../yaml/value.ts';
import { formatAddress, isMistake, parseAddress } from '../address.ts';
import type { FormatType, Reading } from '../field-types.ts';
import { lenientHardwareAddress } from '../hardware-address.ts';
import { formatUrl, parseUrl } from '../url.ts';

type Format = Omit<FormatType, 'kind'>;

export const FORMATS: Readonly<Record<string, Format>> = {
  'byte-size': format('a size like 10GiB', readByteSize),
  size: format('a size like 10GiB or a percentage like 50%', (text) =>
    text.endsWith('%') ? readPercentage(text) : readByteSize(text),
  ),
  mac: format('a hardware address like 02:00:5e:10:00:01', (text) => {
    const value = lenientHardwareAddress(text);
    return value === undefined ? { message: 'want a hardware address like 02:00:5e:10:00:01' } : { value };
  }),
  url: format('a URL', readUrl),
  'ip:port': format('an address with port, like 192.0.2.1:51820', readAddressPort),
  'ip:port?': format('an address with port, like 192.0.2.1:51820', (text) =>
    text === '' ? { value: '' } : readAddressPort(text),
  ),
  'port-range': {
    wish: 'a port or a range like 80-90',
    read: readPortRange,
    encode: (value) => (value.includes('-') ? value : Number(value)),
  },
  'file-mode': {
    wish: 'a file mode like 0o644',
    read: (node) => {
      const value = asInteger(node);
      if (value !== undefined && value >= 0n && value < 2n ** 32n) return { value: `0o${value.toString(8)}` };
      return { message: 'want a file mode like 0o644, without quotes' };
    },
    encode: (value) => new TypedScalar('float', value === '' ? '0o0' : value),
  },
  base64: format('base64 text', (text) => {
    return isBase64(text.replaceAll(/[\r\n]/g, ''))
      ? { value: text }
      : { message: 'want standard base64 with padding' };
  }),
  'disk-size': format('a size like 10GiB', readByteSize),
  'disk-size-matcher': format('a comparison with a size, like >= 10GB', readSizeMatcher),
  'disk-type': format('a type of disks', (text) => ({ value: text })),
  'bond-mac': format('none, active or follow', (text) => {
    const names = ['none', 'active', 'follow'];
    const value = text === '' ? 'none' : (names[['0', '1', '2'].indexOf(text)] ?? names.find((name) => name === text));
    return value === undefined ? { message: 'want none, active or follow' } : { value };
  }),
};

function format(wish: string, read: (text: string) => Reading): Format {
  return {
    wish,
    read: (node) => {
      const text = asText(node);
      return text === undefined ? { message: `want ${wish}` } : read(text);
    },
  };
}

/** Powers of 1000 and of 1024, by the letter before `B` and `iB`. */
const PREFIXES = 'kmgtpe';

/** The largest size of 64 bits and a little less: as upstream, which counts in double precision. */
const TOO_LARGE = 2 ** 64;

/** Bytes of `10GiB`, `1,000 MB`, `10g`, `-5`; negative ones are read, and refused where they make no sense. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(?<sign>-?)(?<digits>[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+) *(?<unit>[a-zA-Z]*)$/.exec(text);
  if (match?.groups === undefined || text.length > 100) return undefined;
  const { sign = '', digits = '', unit = '' } = match.groups;
  const factor = unitFactor(unit.toLowerCase());
  const count = Number(digits.replaceAll(',', ''));
  if (factor === undefined || Number.isNaN(count) || count * factor >= TOO_LARGE) return undefined;
  return Math.trunc(count * factor) * (sign === '' ? 1 : -1);
}

function unitFactor(unit: string): number | undefined {
  const [, prefix = '', binary = ''] = /^([kmgtpe]?)(i?)b?$/.exec(unit) ?? [];
  if (unit === '' || unit === 'b') return 1;
  if (prefix === '') return undefined;
  return (binary === '' ? 1000 : 1024) ** (PREFIXES.indexOf(prefix) + 1);
}

function readByteSize(text: string): Reading {
  if (text === '' || parseByteSize(text) !== undefined) return { value: text };
  return { message: 'want a size like 10GiB', hint: text.endsWith('%') ? 'a percentage is not taken here' : undefined };
}

/** `50%`; upstream cuts fractions and takes the sign. */
export function parsePercentage(text: string): number | undefined {
  const match = /^(-?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)%$/.exec(text);
  return match === null ? undefined : Number(match[2]) * (match[1] === '' ? 1 : -1);
}

function readPercentage(text: string): Reading {
  const share = parsePercentage(text);
  return share !== undefined && share <= 100 ? { value: text } : { message: 'want at most 100%' };
}

function readUrl(text: string): Reading {
  const url = parseUrl(text);
  if (!isMistake(url)) return { value: formatUrl(url) };
  return { message: `${url.mistake}: want a URL` };
}

function readAddressPort(text: string): Reading {
  const [, host = '', port = ''] = /^(.*):([0-9]+)$/s.exec(text) ?? [];
  const isBracketed = host.startsWith('[') && host.endsWith(']');
  const address = parseAddress(isBracketed ? host.slice(1, -1) : host);
  const isFitting = !isMistake(address) && isBracketed === (address.bytes.length === 16);
  if (!isFitting || port.length > 5 || Number(port) > 65535)
    return { message: 'want an address with port, like 192.0.2.1:51820 or [fd00::1]:51820' };
  const name = formatAddress(address);
  return { value: `${isBracketed ? `[${name}]` : name}:${Number(port)}` };
}

/** A number unquoted, or two with `-` between; the canonical text is a number or a range. */
function readPortRange(node: ScalarNode): Reading {
  const scalar = resolveScalar(node);
  const bad = { message: 'want a port 0..65535 or a range like 80-90' };
  if (scalar.type === 'integer' || (scalar.type === 'float' && Number.isInteger(scalar.value)))
    return scalar.value >= 0 && scalar.value <= 65535 ? { value: String(scalar.value) } : bad;
  const [, low = '', high = ''] = /^([0-9]{1,10})-([0-9]{1,10})$/.exec(node.text) ?? [];
  if (low !== '' && Number(low) <= 65535 && Number(high) <= 65535)
    return { value: Number(low) === Number(high) ? String(Number(low)) : `${Number(low)}-${Number(high)}` };
  return { ...bad, ...(/^[0-9]+$/.test(node.text) ? { hint: 'leave the quotes away' } : {}) };
}

function readSizeMatcher(text: string): Reading {
  const [, size = ''] = /^\s*(?:<=|>=|<|>|==)?\s*(.*)$/s.exec(text) ?? [];
  return size.trim() !== '' && parseByteSize(size.trim()) !== undefined
    ? { value: text }
    : { message: 'want a comparison with a size, like >= 10GB' };
}
