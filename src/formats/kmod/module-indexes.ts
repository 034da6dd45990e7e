/**
 * `modules.dep` and the other files modprobe, udev and the kernel look modules up in, as `depmod --all` of kmod writes them, byte for byte.
 * Sources: kmod, tools/depmod.c; modules.dep(5).
 */
import { type Bytes, ofMemory } from '../../bytes/bytes.ts';
import { toMemory } from '../../bytes/read.ts';
import { invalid } from '../../errors.ts';
import type { Compression } from '../../platform/types.ts';
import { fileAt, type Tree, treeOfLiterals } from '../../tree/tree.ts';
import { parseBuiltin, parseBuiltinAliases } from './builtin.ts';
import { bytesOf, byteTextOf } from './byte-text.ts';
import { DEFAULT_CONFIGURATION, type DepmodConfiguration } from './configuration.ts';
import { sortDependencies } from './dependencies.ts';
import { deviceLine } from './device-name.ts';
import { inHashOrder } from './hash-order.ts';
import { IndexBuilder, type NodeOrder } from './index-file.ts';
import { type LoadedModule, loadModules } from './load-modules.ts';
import { normalizeAlias } from './module-name.ts';
import { isWhole, orderModules } from './module-order.ts';
import { NamePool } from './name-pool.ts';
import { findModules } from './search.ts';

export interface ModuleIndexOptions {
  /** Whose files these are to be, down to the byte: kmod 34, default, or 30. All tools read both. */
  readonly release?: KmodRelease;
  readonly configuration?: DepmodConfiguration;
  /** Larger modules, unpacked, count as damaged. Bytes, default 256 MiB. */
  readonly maxModuleSize?: number;
  readonly signal?: AbortSignal;
}

export type KmodRelease = 30 | 34;

export interface ModuleIndexes {
  /** `modules.dep` and the others, owned by root, at the epoch. */
  readonly files: Tree;
  /** What depmod would complain of and go on: modules that are damaged, aliases that cannot be matched. */
  readonly warnings: readonly string[];
}

interface Traits {
  readonly nodeOrder: NodeOrder;
  readonly hasWeakdeps: boolean;
  /** Which of several equal lines of `modules.order` counts. */
  readonly repeatedLine: 'first' | 'last';
}

const TRAITS: Readonly<Record<KmodRelease, Traits>> = {
  30: { nodeOrder: 'post-order', hasWeakdeps: false, repeatedLine: 'last' },
  34: { nodeOrder: 'pre-order', hasWeakdeps: true, repeatedLine: 'first' },
};

/** As many as depmod can count. */
const MAX_MODULES = 0xfffe;
/** Of `modules.order`, `modules.builtin` and `modules.builtin.modinfo`, bytes. */
const MAX_LIST: number = 64 << 20;
/** Of a file that is written, bytes: dependencies of dependencies can make a small tree's very long. */
const MAX_FILE: number = 128 << 20;

/**
 * `modules` is what lies in `lib/modules/<kernel version>`; index files that are there already do not count. Throws `invalid-input` when
 * modules need each other in a circle, naming them, for names and aliases that are not ASCII, and for trees too large to count; what sources throw.
 */
export async function buildModuleIndexes(
  modules: Tree,
  compression: Compression,
  options: ModuleIndexOptions = {},
): Promise<ModuleIndexes> {
  const { release = 34, configuration = DEFAULT_CONFIGURATION, maxModuleSize = 256 << 20, signal } = options;
  const traits = TRAITS[release];
  const found = findModules(modules, configuration);
  if (found.size > MAX_MODULES) throw invalid(`modules: ${found.size} of them, want at most ${MAX_MODULES}`);
  const warnings: string[] = [];
  const order = await list(modules, 'modules.order', warnings);
  if (order !== undefined && !isWhole(order)) warnings.push('modules.order: a line without an end; it does not count');
  const pool = new NamePool();
  const ordered = orderModules(found, order, traits.repeatedLine);
  const loaded = await loadModules(ordered, compression, pool, { maxModuleSize, signal });
  for (const { path, damage } of loaded) if (damage !== undefined) warnings.push(`module ${path}: ${damage}`);

  const owners = ownersOf(loaded, pool.size);
  const files: Record<string, Bytes> = {
    ...dependencyFiles(loaded, owners, traits),
    ...aliasFiles(loaded, traits, warnings),
    ...symbolFiles(loaded, owners, pool, traits),
    ...builtinFiles(
      await list(modules, 'modules.builtin', warnings),
      await list(modules, 'modules.builtin.modinfo', warnings),
      traits,
      warnings,
    ),
    'modules.softdep': textFile('# Soft dependencies extracted from modules themselves.\n', loaded, (module) =>
      module.softdeps.map((value) => `softdep ${module.name} ${value}\n`),
    ),
    'modules.devname': deviceFile(loaded, warnings),
  };
  if (traits.hasWeakdeps) {
    files['modules.weakdep'] = textFile('# Weak dependencies extracted from modules themselves.\n', loaded, (module) =>
      module.weakdeps.map((value) => `weakdep ${module.name} ${value}\n`),
    );
  }
  return { files: treeOfLiterals(files), warnings };
}

/** As byte text; `undefined` where there is none. */
async function list(modules: Tree, path: string, warnings: string[]): Promise<string | undefined> {
  const content = fileAt(modules, path);
  if (content !== undefined) return byteTextOf(await toMemory(content, MAX_LIST, path));
  warnings.push(`${path}: not there`);
  return undefined;
}

/** For each symbol's name the module that exports it, the last that does; -1 for those none does. */
function ownersOf(modules: readonly LoadedModule[], names: number): Int32Array {
  const owners = new Int32Array(names).fill(-1);
  for (const [index, { exported }] of modules.entries()) for (const name of exported) owners[name] = index;
  return owners;
}

function dependencyFiles(modules: readonly LoadedModule[], owners: Int32Array, traits: Traits): Record<string, Bytes> {
  const direct = directDependencies(modules, owners);
  const allOf = sortDependencies(
    direct,
    modules.map(({ name }) => name),
  );
  const text = new TextFile();
  const index = new IndexBuilder();
  for (const [number, { name, path }] of modules.entries()) {
    let line = `${path}:`;
    for (const one of allOf(number)) line += ` ${modules[one]!.path}`;
    text.push(`${line}\n`);
    index.add(name, line, number);
  }
  return { 'modules.dep': text.toBytes(), 'modules.dep.bin': ofMemory(index.encode(traits.nodeOrder)) };
}

/** Each owner once, in the order of the symbols that are needed first. */
function directDependencies(modules: readonly LoadedModule[], owners: Int32Array): number[][] {
  const marks = new Int32Array(modules.length).fill(-1);
  return modules.map(({ needed }, number) => {
    const found: number[] = [];
    for (const name of needed) {
      const owner = owners[name]!;
      if (owner < 0 || marks[owner] === number) continue;
      marks[owner] = number;
      found.push(owner);
    }
    return found;
  });
}

function aliasFiles(modules: readonly LoadedModule[], traits: Traits, warnings: string[]): Record<string, Bytes> {
  const index = new IndexBuilder();
  for (const [number, { name, aliases }] of modules.entries()) {
    for (const alias of aliases) addAlias(index, name, { alias, normal: normalizeAlias(alias) }, number, warnings);
  }
  const text = textFile('# Aliases extracted from modules themselves.\n', modules, ({ name, aliases }) =>
    aliases.map((alias) => `alias ${alias} ${name}\n`),
  );
  return { 'modules.alias': text, 'modules.alias.bin': ofMemory(index.encode(traits.nodeOrder)) };
}

function addAlias(
  index: IndexBuilder,
  module: string,
  { alias, normal }: { readonly alias: string; readonly normal: string | undefined },
  priority: number,
  warnings: string[],
): void {
  if (normal === undefined) warnings.push(`module ${module}: alias ${alias}: brackets are not in pairs`);
  else index.add(normal, module, priority);
}

/** Of kmod's table of symbols. */
const SYMBOL_BUCKETS = 2048;

function symbolFiles(
  modules: readonly LoadedModule[],
  owners: Int32Array,
  pool: NamePool,
  traits: Traits,
): Record<string, Bytes> {
  const ownerByName = new Map<string, number>();
  for (let number = 0; number < owners.length; number++) {
    if (owners[number]! >= 0) ownerByName.set(pool.nameOf(number), owners[number]!);
  }
  const text = new TextFile();
  text.push('# Aliases for symbols, used by symbol_request().\n');
  const index = new IndexBuilder();
  for (const symbol of inHashOrder([...ownerByName.keys()], SYMBOL_BUCKETS)) {
    const owner = ownerByName.get(symbol)!;
    const { name } = modules[owner]!;
    text.push(`alias symbol:${symbol} ${name}\n`);
    index.add(`symbol:${symbol}`, name, owner);
  }
  return { 'modules.symbols': text.toBytes(), 'modules.symbols.bin': ofMemory(index.encode(traits.nodeOrder)) };
}

/** Empty files where the kernel's build did not say. */
function builtinFiles(
  builtin: string | undefined,
  modinfo: string | undefined,
  traits: Traits,
  warnings: string[],
): Record<string, Bytes> {
  const names = new IndexBuilder();
  const aliases = new IndexBuilder();
  for (const name of parseBuiltin(builtin ?? '')) names.add(name, '', 0);
  for (const { module, ...alias } of parseBuiltinAliases(modinfo ?? '')) addAlias(aliases, module, alias, 0, warnings);
  const encoded = (index: IndexBuilder): Uint8Array => index.encode(traits.nodeOrder);
  return {
    'modules.builtin.bin': ofMemory(builtin === undefined ? new Uint8Array() : encoded(names)),
    'modules.builtin.alias.bin': ofMemory(modinfo === undefined ? new Uint8Array() : encoded(aliases)),
  };
}

function deviceFile(modules: readonly LoadedModule[], warnings: string[]): Bytes {
  const text = new TextFile();
  for (const { name, aliases } of modules) {
    const { line, lack } = deviceLine(name, aliases);
    if (lack !== undefined) warnings.push(lack);
    if (line === undefined) continue;
    if (text.isEmpty) text.push('# Device nodes to trigger on-demand module loading.\n');
    text.push(line);
  }
  return text.toBytes();
}

function textFile(
  title: string,
  modules: readonly LoadedModule[],
  linesOf: (module: LoadedModule) => readonly string[],
): Bytes {
  const text = new TextFile();
  text.push(title);
  for (const module of modules) for (const line of linesOf(module)) text.push(line);
  return text.toBytes();
}

/** Byte text in the making. */
class TextFile {
  #text = '';

  get isEmpty(): boolean {
    return this.#text === '';
  }

  push(line: string): void {
    this.#text += line;
    if (this.#text.length > MAX_FILE) throw invalid(`module indexes: a file of more than ${MAX_FILE} bytes`);
  }

  toBytes(): Bytes {
    return ofMemory(bytesOf(this.#text));
  }
}
