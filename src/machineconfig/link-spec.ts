/** Links as kernel arguments ask for them, in the terms of the network document. */
export interface ArgumentLink {
  readonly name: string;
  readonly logical: boolean;
  /** Bytes, 0 leaves it as it is. */
  readonly mtu: number;
  /** `''` for a link of the machine's own. */
  readonly kind: '' | 'bond' | 'vlan';
  /** Bond this link belongs to, and its place there. */
  readonly master?: { readonly name: string; readonly index: number };
  readonly bond?: BondSettings;
  readonly vlan?: { readonly parent: string; readonly id: number };
}

/** Names and numbers as in `links[].bondMaster`; fields that are not here have their zero value. */
export type BondSettings = Readonly<Record<string, string | number | boolean>>;

/** What the arguments of one machine are read against. */
export interface MachineLinks {
  /** The first link in order of names that is no loopback; taken where an argument names none. */
  readonly first: string;
  /** Index of a link that exists now, by name or alias. */
  readonly indexOf: (name: string) => number | undefined;
}

/** A link of the machine itself that is to be brought up. */
export function ownLink(name: string): ArgumentLink {
  return { name, logical: false, mtu: 0, kind: '' };
}
