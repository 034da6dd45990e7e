#!/usr/bin/env node
// Starts the command line. Plain JavaScript that old Node versions parse, so that they can be told what is needed.
const BUNDLE = 'dist/cli/imager.cjs';
const wanted = [24, 15];
const found = process.versions.node.split('.').map(Number);
const enough = found[0] > wanted[0] || (found[0] === wanted[0] && found[1] >= wanted[1]);

if (enough) {
  collectEarly();
  (isBundleCurrent() ? runBundle() : runSources()).catch(refuse);
} else {
  void startUnderOwnNode();
}

async function runBundle() {
  const bundle = await import('./bundle.js');
  await bundle.runBundle(`${import.meta.dirname}/../${BUNDLE}`, codeCache());
}

async function runSources() {
  const cache = codeCache();
  if (cache !== undefined) process.getBuiltinModule('node:module').enableCompileCache(cache);
  const { run } = await import('../src/cli/run.ts');
  await run();
}

/**
 * The bundle that `npm ci` makes starts in a third of the time its sources take. A checkout runs it only while no source has another size or time than
 * when it was made, so that nobody ever runs stale code; an installed package has nothing else.
 */
function isBundleCurrent() {
  const { existsSync, readFileSync, statSync } = process.getBuiltinModule('node:fs');
  const root = `${import.meta.dirname}/..`;
  if (!existsSync(`${root}/src`)) return true;
  if (!existsSync(`${root}/dist/imager.inputs`) || !existsSync(`${root}/${BUNDLE}`)) return false;
  const inputs = readFileSync(`${root}/dist/imager.inputs`, 'utf8').split('\n');
  return inputs.every((line) => {
    const path = line.slice(line.indexOf(' ', line.indexOf(' ') + 1) + 1);
    const found = statSync(`${root}/${path}`, { throwIfNoEntry: false });
    return found !== undefined && line === `${found.size} ${found.mtimeMs} ${path}`;
  });
}

/** A checkout in which npm was not run yet is the one thing to expect. */
function refuse(error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error(`imager: ${error.message.split('\n')[0]}\n  hint: npm ci brings what it needs`);
  process.exitCode = 1;
}

/** `npm ci` in a checkout brings the wanted Node along; without it there is only the advice. */
async function startUnderOwnNode() {
  const { existsSync } = await import('node:fs');
  const { spawn } = await import('node:child_process');
  const { constants } = await import('node:os');
  const { fileURLToPath } = await import('node:url');
  const node = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));
  if (!existsSync(node)) {
    console.error(
      `imager: Node.js ${process.versions.node}: want ${wanted.join('.')} or newer (in a checkout, npm ci brings it)`,
    );
    process.exitCode = 1;
    return;
  }
  // Before there is a child: a signal between its start and ours would end us alone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  child.on('error', (error) => {
    console.error(`imager: ${node}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('close', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

/** Compiled code (of sources, code without its types too) stays in the user's own cache: to make it anew takes longer than most builds. */
function codeCache() {
  const { HOME: home, XDG_CACHE_HOME: cache } = process.env;
  const base = cache?.startsWith('/') ? cache : home === undefined ? undefined : `${home}/.cache`;
  return base === undefined ? undefined : `${base}/bootwright-code`;
}

/**
 * Pulled content passes through as short-lived buffers outside the heap, which go when the young generation is collected. A young generation that
 * stays small is collected often: a pull of any size then peaks at 120 MiB in place of 190, and is a tenth faster.
 */
function collectEarly() {
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}
