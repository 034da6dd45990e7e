// Runs the bundle of the command line with the code that V8 made of it the last time the same command ran.
import { createRequire } from 'node:module';

/** Days after which what other versions left is removed. */
const KEPT_DAYS = 30;

/**
 * Runs `path`, a script whose value is a CommonJS wrapper and whose first line says what is in it (scripts/bundle.js). Functions are parsed when they are first called, which
 * together takes as long as planning and laying out an image. Node's own compile cache holds only those that are there before anything has run;
 * what is kept in `cache` (a directory, or undefined), a file a command, is made after the run.
 */
export async function runBundle(path, cache) {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const { Script } = process.getBuiltinModule('node:vm');
  const source = readFileSync(path, 'utf8');
  const kept = cache === undefined ? undefined : keptCode(cache, source);
  const cachedData = kept === undefined ? undefined : readCode(kept.path);
  const script = new Script(source, { filename: path, ...(cachedData !== undefined && { cachedData }) });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(path), module, path);
  await module.exports.run();
  // What failed has not run far.
  const isKept = cachedData !== undefined && script.cachedDataRejected === false;
  if (kept !== undefined && !isKept && (process.exitCode ?? 0) === 0) writeCode(kept, script.createCachedData());
}

/** V8 looks at version, flags and the length of the source: the name has the rest. */
function keptCode(cache, source) {
  const id = source.slice('// '.length, '// 0123456789abcdef'.length);
  const { argv, arch, version } = process;
  const isCommand = /^[a-z][a-z0-9-]{0,31}$/.test(argv[2] ?? '') && !argv.includes('--help') && !argv.includes('-h');
  const directory = `bundle-${id}-${version}-${arch}`;
  return { cache, directory, path: `${cache}/${directory}/${isCommand ? argv[2] : 'other'}` };
}

/** The code, or undefined. V8 does not check it, and dies of a wrong byte: four bytes of CRC-32, big-endian, are before it. */
function readCode(path) {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  try {
    const data = readFileSync(path);
    const code = data.subarray(4);
    return data.length > 4 && data.readUInt32BE() === process.getBuiltinModule('node:zlib').crc32(code)
      ? code
      : undefined;
  } catch {
    return undefined;
  }
}

/** Nothing depends on it: where it cannot be written, the next run starts as slowly as this one. */
function writeCode({ cache, directory, path }, code) {
  const { mkdirSync, renameSync, rmSync, writeFileSync } = process.getBuiltinModule('node:fs');
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(process.getBuiltinModule('node:zlib').crc32(code));
  const partial = `${path}.${process.pid}`;
  try {
    mkdirSync(`${cache}/${directory}`, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(partial, Buffer.concat([checksum, code]), { mode: 0o600 });
      renameSync(partial, path);
    } catch {
      rmSync(partial, { force: true });
    }
    removeOld(cache, directory);
  } catch {
    // A cache that is no directory, or not ours.
  }
}

/** Another version, or another checkout, that still runs makes its code anew. */
function removeOld(cache, current) {
  const { readdirSync, rmSync, statSync } = process.getBuiltinModule('node:fs');
  const oldest = Date.now() - KEPT_DAYS * 86_400_000;
  for (const name of readdirSync(cache)) {
    const path = `${cache}/${name}`;
    const isOther = name.startsWith('bundle-') && name !== current;
    if (isOther && statSync(path).mtimeMs < oldest) rmSync(path, { recursive: true, force: true });
  }
}
