/**
 * Makes `dist/cli/imager.cjs`: the command line with its libraries in one file, which starts in a fraction of the time that hundreds of modules take.
 * `dist/imager.inputs` says what it was made of, so that a checkout never runs a stale one (bin/imager.js). `npm ci` runs this under whatever Node there is:
 * plain JavaScript that Node 20 takes.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const require = createRequire(import.meta.url);

/** What decides about the bundle besides the sources. */
const MAKERS = ['package-lock.json', 'scripts/bundle.js', 'bin/bundle.js'];

/** `node:assert`, `node:events` and `node:stream` are functions: called, constructed and extended as such. */
const CALLABLE = `new Proxy(function () {}, {
  get: (_, name) => built_in()[name],
  getPrototypeOf: () => names,
  apply: (_, self, values) => Reflect.apply(built_in(), self, values),
  construct: (_, values, target) => Reflect.construct(built_in(), values, target),
})`;

/**
 * Built-in modules are loaded when something of them is first used, not when the program starts: `node:crypto` and `node:child_process` take as long
 * as planning a build, and an `import` of `node:process` opens the standard streams. What an importer sees is an object whose prototype asks the module. (`process` is there anyway.)
 */
const BUILT_INS = {
  name: 'built-in modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z][a-z:_/0-9]*$/ }, ({ path }) =>
      path.startsWith('node:') || builtinModules.includes(path) ? { path, namespace: 'built-in' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => ({
      contents:
        path === 'process' || path === 'node:process'
          ? 'module.exports = process;'
          : `const built_in = () => process.getBuiltinModule(${JSON.stringify(path)});
           const names = new Proxy({}, { get: (_, name) => built_in()[name] });
           module.exports = ${typeof require(path) === 'function' ? CALLABLE : 'Object.create(names)'};`,
    }));
  },
};

/** What sources import dynamically is large and seldom needed: such packages stay where they are. */
const LATE_PACKAGES = {
  name: 'late packages',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

// A production install has neither a bundler nor a use for one.
if (existsSync(join(ROOT, 'node_modules/esbuild'))) await bundle(join(ROOT, 'dist'));

async function bundle(directory) {
  const { build } = await import('esbuild');
  const list = join(directory, 'imager.inputs');
  const outdir = join(directory, 'cli');
  // Without the list nobody takes the bundle, which is about to change.
  rmSync(list, { force: true });
  rmSync(outdir, { recursive: true, force: true });
  // Before they are read: what changes meanwhile must count as changed.
  const stamps = new Map([...MAKERS, ...sources()].map((path) => [path, stamp(path)]));
  const { metafile, outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: { imager: 'src/cli/run.ts' },
    outdir,
    bundle: true,
    format: 'cjs',
    // A script whose value is the wrapper that Node puts around such modules: bin/bundle.js compiles it.
    banner: { js: '(function (exports, require, module, __filename) {' },
    footer: { js: '})' },
    // Such a script cannot import, but for an experiment of Node's that warns; what it requires late may be ES modules.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__filename' },
    platform: 'node',
    target: 'node24',
    // Half the text to read. Names stay, for the traces in bug reports.
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    write: false,
    logLevel: 'warning',
    plugins: [BUILT_INS, LATE_PACKAGES],
  });
  const [{ text }] = outputFiles;
  mkdirSync(outdir, { recursive: true });
  writeFileSync(
    join(outdir, 'imager.cjs'),
    `// ${createHash('sha256').update(text).digest('hex').slice(0, 16)}\n${text}`,
  );
  const inputs = [...MAKERS, ...Object.keys(metafile.inputs).filter((path) => stamps.has(path))];
  writeFileSync(`${list}.partial`, inputs.map((path) => `${stamps.get(path)} ${path}`).join('\n'));
  renameSync(`${list}.partial`, list);
}

function sources() {
  const names = readdirSync(join(ROOT, 'src'), { recursive: true });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `src/${name.replaceAll('\\', '/')}`);
}

/** What bin/imager.js compares. */
function stamp(path) {
  const { size, mtimeMs } = statSync(join(ROOT, path));
  return `${size} ${mtimeMs}`;
}
