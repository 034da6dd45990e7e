/** Extended attributes, before it is decided where they go, and the forms of their names. */
import { putU64, structure } from '../../bytes/field.ts';
import { ImagerError, invalid } from '../../errors.ts';
import { hashName } from './name-hash.ts';

/** Namespaces, as flags beside each name; none is `user.`. */
export const NAMESPACE = { user: 0, trusted: 2, security: 4, parent: 8 } as const;
export type Namespace = (typeof NAMESPACE)[keyof typeof NAMESPACE];

export interface Attribute {
  readonly namespace: Namespace;
  /** Without the namespace, 1 to 255 bytes. */
  readonly name: Uint8Array;
  /** At most 65536 bytes. */
  readonly value: Uint8Array;
  /** What attributes are sorted by. */
  readonly hash: number;
}

const MAXIMUM_NAME = 255;
const MAXIMUM_VALUE = 65536;

/** Throws `invalid-input` for names and values that are too long, `unsupported` for other namespaces. */
export function attributeOf(fullName: string, value: Uint8Array, path: string): Attribute {
  const [prefix, name] = splitName(fullName);
  const isKnown = prefix !== 'parent' && Object.hasOwn(NAMESPACE, prefix);
  const namespace = isKnown ? (NAMESPACE as Readonly<Record<string, Namespace>>)[prefix] : undefined;
  if (namespace === undefined) {
    throw new ImagerError(
      'unsupported',
      `attribute "${fullName}" of "${path}": XFS takes those of user, trusted and security`,
    );
  }
  const bytes = new TextEncoder().encode(name);
  if (bytes.length < 1 || bytes.length > MAXIMUM_NAME || name.includes('\0')) {
    throw invalid(`attribute "${fullName}" of "${path}": want a name of 1 to ${MAXIMUM_NAME} bytes`);
  }
  if (value.length > MAXIMUM_VALUE) {
    throw invalid(`attribute "${fullName}" of "${path}": ${value.length} bytes, want at most ${MAXIMUM_VALUE}`);
  }
  return { namespace, name: bytes, value, hash: hashName(bytes) };
}

function splitName(fullName: string): [string, string] {
  const dot = fullName.indexOf('.');
  return dot < 0 ? [fullName, ''] : [fullName.slice(0, dot), fullName.slice(dot + 1)];
}

/**
 * The attribute that leads from an inode to a directory that holds it: the name there, and as value the directory's inode number
 * and generation. Source: Linux `fs/xfs/libxfs/xfs_parent.c`, xfs_parent_rec.
 */
export function parentPointer(name: Uint8Array, parent: number, generation: number): Attribute {
  const { data, view } = structure(12);
  putU64(view, 0, parent, false);
  view.setUint32(8, generation);
  // Files of one name in several directories shall not meet under one hash.
  const hash = (hashName(name) ^ Math.floor(parent / 2 ** 32) ^ parent) >>> 0;
  return { namespace: NAMESPACE.parent, name, value: data, hash };
}

/** `undefined` for what users do not see: parent pointers, and what is not complete. */
export function fullNameOf(flags: number, name: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(name);
  const { user, trusted, security } = NAMESPACE;
  switch (flags & ~STORED_LOCALLY) {
    case user:
      return `user.${text}`;
    case trusted:
      return `trusted.${text}`;
    case security:
      return `security.${text}`;
    default:
      return undefined;
  }
}

/** A flag in leaves: the value lies beside the name. */
export const STORED_LOCALLY = 1;
