/** How an inode's data and its attributes share the room behind its core. */
import { LITERAL_SIZE } from './inode.ts';

/** A fork whose content lies elsewhere, in one piece: one extent. */
export const ONE_EXTENT = 16;

/** Data keeps this much beside attributes: the root of a tree of extents with three pointers, so that any file can grow. */
export const LEAST_DATA = 56;

/** Where attributes begin unless something has to be larger. */
const USUAL_OFFSET = 192;

/** All that a device number takes: the fork never grows. */
const DEVICE_OFFSET = 8;

export interface ForkChoice {
  /** Index of the data's form. */
  readonly data: number;
  readonly attributes: 'none' | 'inline' | 'blocks';
  /** Bytes behind the core where attributes begin; 0 without any. */
  readonly attributeOffset: number;
  /** Bytes for data. */
  readonly dataRoom: number;
}

/**
 * `dataSizes` are the bytes that the data takes in the inode in each of its forms, the dearest last; `attributeSize` that of attributes in
 * the inode, `undefined` if they cannot lie there, 0 for none. Attributes leave the inode last, as the kernel has it.
 */
export function chooseForks(dataSizes: readonly number[], attributeSize: number | undefined): ForkChoice {
  if (attributeSize === 0) {
    const data = dataSizes.findIndex((size) => size <= LITERAL_SIZE);
    return { data, attributes: 'none', attributeOffset: 0, dataRoom: LITERAL_SIZE };
  }
  const attempts = [
    { attributes: 'inline', size: attributeSize ?? Number.POSITIVE_INFINITY },
    { attributes: 'blocks', size: ONE_EXTENT },
  ] as const;
  for (const { attributes, size } of attempts) {
    for (const [data, dataSize] of dataSizes.entries()) {
      const attributeOffset = offsetBetween(Math.max(align8(dataSize), LEAST_DATA), LITERAL_SIZE - size);
      if (attributeOffset !== undefined) return { data, attributes, attributeOffset, dataRoom: attributeOffset };
    }
  }
  throw new Error(`no form of ${dataSizes.join(', ')} bytes leaves room for attributes`);
}

/** Devices have one form, and a place for attributes that never moves. */
export function chooseDeviceForks(attributeSize: number | undefined): ForkChoice {
  if (attributeSize === 0) return { data: 0, attributes: 'none', attributeOffset: 0, dataRoom: LITERAL_SIZE };
  const inline = attributeSize !== undefined && DEVICE_OFFSET + attributeSize <= LITERAL_SIZE;
  return {
    data: 0,
    attributes: inline ? 'inline' : 'blocks',
    attributeOffset: DEVICE_OFFSET,
    dataRoom: DEVICE_OFFSET,
  };
}

function offsetBetween(least: number, most: number): number | undefined {
  const highest = Math.floor(most / 8) * 8;
  if (least > highest) return undefined;
  return least <= USUAL_OFFSET && USUAL_OFFSET <= highest ? USUAL_OFFSET : highest;
}

function align8(size: number): number {
  return Math.ceil(size / 8) * 8;
}
