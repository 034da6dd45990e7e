/** `vlan=NAME:PARENT`, NAME being `vlanID` or `anything.ID` (spec machine-config 6). */
import type { Mistake } from './address.ts';
import { parseDecimal } from './command-line.ts';
import type { ArgumentLink } from './link-spec.ts';

/** SHA-256 of some bytes: machineconfig stays free of libraries, so callers bring it. */
export type Sha256 = (data: Uint8Array) => Uint8Array;

export interface VlanArgument {
  readonly id: number;
  readonly parent: string;
  /** As written; the node does not use it, see `vlanLinkName`. */
  readonly name: string;
}

export function parseVlanArgument(value: string): VlanArgument | Mistake {
  const colon = value.indexOf(':');
  if (colon < 0) return { mistake: 'no ":" before the parent link' };
  const name = value.slice(0, colon);
  const dot = name.indexOf('.');
  if (dot < 0 && !name.startsWith('vlan')) return { mistake: `name "${name}": want vlanID or link.ID` };
  const digits = dot < 0 ? name.slice('vlan'.length) : name.slice(dot + 1);
  const id = parseDecimal(digits) ?? 0n;
  if (id < 1n || id > 4095n) return { mistake: `VLAN ID "${digits}": want 1..4095` };
  return { id: Number(id), parent: value.slice(colon + 1), name };
}

/** Longest parent name, in bytes, that leaves room for the dot and four digits. */
const MAX_PARENT_BYTES = 10;

/** The name the node gives the link: long parents keep 4 bytes and get 6 digits of their SHA-256. */
export function vlanLinkName(parent: string, id: number, sha256: Sha256): string {
  const bytes = new TextEncoder().encode(parent);
  if (bytes.length <= MAX_PARENT_BYTES) return `${parent}.${id}`;
  const start = new TextDecoder().decode(bytes.subarray(0, 4));
  const digest = [...sha256(bytes).subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${start}${digest}.${id}`;
}

export function vlanLink(vlan: VlanArgument, sha256: Sha256): ArgumentLink {
  const name = vlanLinkName(vlan.parent, vlan.id, sha256);
  return { name, logical: true, mtu: 0, kind: 'vlan', vlan: { parent: vlan.parent, id: vlan.id } };
}
