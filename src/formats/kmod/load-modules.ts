/** What index files say of modules, read from the modules: several at once, so that all processors decompress. */
import { ImagerError, stopIfAborted } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { decompressModule } from './decompress.ts';
import { type ModuleInfo, NO_INFO, parseModuleInfo } from './modinfo.ts';
import { readModuleElf } from './module-elf.ts';
import { type ModuleSymbols, parseModuleSymbols } from './module-symbols.ts';
import { ModuleWindow, moduleBuffer } from './module-window.ts';
import type { NamePool } from './name-pool.ts';
import type { FoundModule } from './search.ts';

export interface LoadedModule extends FoundModule, ModuleInfo, ModuleSymbols {
  /** Why nothing is known of a module that is damaged. */
  readonly damage?: string;
}

export interface LoadOptions {
  /** Of one module, unpacked, bytes. */
  readonly maxModuleSize: number;
  readonly signal?: AbortSignal | undefined;
}

/** Threads of Node's pool, and so what can be under way at once; the memory of as many modules. */
const WORKERS = 4;

/** In the same order. Damage is part of the result; throws what sources throw. */
export async function loadModules(
  modules: readonly FoundModule[],
  compression: Compression,
  pool: NamePool,
  options: LoadOptions,
): Promise<LoadedModule[]> {
  const loaded = new Array<LoadedModule>(modules.length);
  const queue = modules.entries();
  const work = async (): Promise<void> => {
    const reader: Reader = { compression, pool, maxModuleSize: options.maxModuleSize, buffer: moduleBuffer() };
    for (const [index, module] of queue) {
      stopIfAborted(options.signal, 'reading modules');
      loaded[index] = await loadModule(module, reader);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return loaded;
}

interface Reader {
  readonly compression: Compression;
  readonly pool: NamePool;
  readonly maxModuleSize: number;
  readonly buffer: Uint8Array;
}

async function loadModule(module: FoundModule, reader: Reader): Promise<LoadedModule> {
  const { compression, pool, maxModuleSize, buffer } = reader;
  try {
    const packed = new ModuleWindow(module.content, buffer);
    const elf = await readModuleElf(await decompressModule(packed, compression, maxModuleSize));
    return { ...module, ...parseModuleSymbols(elf, pool), ...parseModuleInfo(elf.sections.get('.modinfo')) };
  } catch (error) {
    if (!(error instanceof ImagerError) || (error.code !== 'invalid-input' && error.code !== 'unsupported'))
      throw error;
    return { ...module, ...NO_INFO, exported: [], needed: [], damage: error.message };
  }
}
