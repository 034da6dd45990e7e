/** What is said about a kernel argument that the node would refuse, ignore or take for something else. */

/** An argument the node will refuse, ignore or take for something else, and why. */
export interface ArgumentWarning {
  /** `ip=eth0:on`, or the key alone where the value may hold a credential. */
  readonly argument: string;
  readonly message: string;
  readonly hint?: string;
}

/** One argument's warning, its key left to the caller. */
export type Finding = Omit<ArgumentWarning, 'argument'>;

/** Values longer than a line of a message are cut. */
export function shownArgument(key: string, value: string): string {
  return value === '' ? key : `${key}=${value.length > 100 ? `${value.slice(0, 97)}...` : value}`;
}
