/** What every core image carries besides the kernel. */
import { encodeModuleArea, type GrubObject, textObject } from './module-area.ts';

export interface CorePayload {
  /** Module files in the order they are to be loaded. */
  readonly modules: readonly Uint8Array[];
  /** Where GRUB looks for its files: `/boot/grub`, `(hd0,gpt3)/grub`. */
  readonly prefix: string;
  /** Commands run before `normal`. */
  readonly config?: string;
  /** A file system image, seen as `(memdisk)`. */
  readonly memdisk?: Uint8Array;
}

/** The module area of a payload, in grub-mkimage's order: modules, memdisk, configuration, prefix. */
export function encodePayload(payload: CorePayload, pointerSize: 4 | 8): Uint8Array {
  const objects: GrubObject[] = payload.modules.map((data) => ({ kind: 'module', data }));
  if (payload.memdisk !== undefined) objects.push({ kind: 'memdisk', data: payload.memdisk });
  if (payload.config !== undefined) objects.push(textObject('config', payload.config));
  objects.push(textObject('prefix', payload.prefix));
  return encodeModuleArea(objects, pointerSize);
}
