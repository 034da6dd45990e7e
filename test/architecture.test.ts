/** Who may import whom: the table of ARCHITECTURE.md as a test. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));

/** Folder or root file -> what it may import besides itself, `errors.ts` and `platform/types.ts`. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'version.ts': [],
  platform: [],
  yaml: [],
  bytes: [],
  tree: ['bytes'],
  machineconfig: ['yaml'],
  formats: ['bytes', 'tree'],
  meta: ['bytes'],
  profiles: ['bytes', 'yaml', 'meta', 'machineconfig'],
  sandbox: ['bytes', 'tree'],
  trust: ['bytes', 'yaml', 'machineconfig'],
  oci: ['bytes', 'tree', 'yaml', 'formats', 'trust'],
  imagecache: ['bytes', 'tree', 'formats', 'oci'],
  extensions: ['bytes', 'tree', 'yaml', 'formats', 'machineconfig', 'profiles', 'oci'],
  overlays: ['bytes', 'tree', 'yaml', 'profiles', 'oci', 'sandbox'],
  boot: ['bytes', 'tree', 'formats', 'meta', 'profiles', 'machineconfig'],
  iso: ['bytes', 'tree', 'formats', 'profiles', 'boot'],
  pxe: ['profiles'],
  report: ['bytes', 'machineconfig', 'meta', 'profiles'],
  installer: ['bytes', 'tree', 'profiles', 'oci'],
  disk: ['bytes', 'tree', 'formats', 'meta', 'profiles', 'boot'],
  pipeline: [
    'bytes',
    'tree',
    'yaml',
    'formats',
    'meta',
    'machineconfig',
    'profiles',
    'oci',
    'imagecache',
    'trust',
    'extensions',
    'overlays',
    'sandbox',
    'boot',
    'iso',
    'disk',
    'installer',
    'pxe',
    'report',
  ],
  cli: [
    'version.ts',
    'bytes',
    'tree',
    'yaml',
    'meta',
    'machineconfig',
    'profiles',
    'oci',
    'imagecache',
    'trust',
    'extensions',
    'overlays',
    'sandbox',
    'pxe',
    'report',
    'pipeline',
    'platform',
  ],
  'index.ts': [
    'imagecache',
    'trust',
    'extensions',
    'bytes',
    'tree',
    'meta',
    'machineconfig',
    'profiles',
    'oci',
    'boot',
    'report',
    'pipeline',
    'platform',
  ],
};

/** npm packages and where they may be used: a library belongs to one folder, so that it can be replaced there. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'smol-toml': ['oci'],
  undici: ['platform'],
  yaml: ['yaml'],
  '@sigstore/bundle': ['trust'],
  '@sigstore/verify': ['trust'],
  '@sigstore/core': ['trust'],
  '@sigstore/protobuf-specs': ['trust'],
  re2js: ['trust'],
  '@sigstore/tuf': ['trust'],
  'tuf-js': ['trust'],
  '@napi-rs/lzma': ['platform'],
  commander: ['cli'],
  '@bomb.sh/tab': ['cli'],
  'log-update': ['cli'],
  pako: ['meta', 'pipeline'],
  '@noble/ciphers': ['platform'],
  '@noble/hashes': ['formats', 'extensions', 'meta', 'report', 'pipeline'],
};

/** Node's own modules: the platform implementation and the command line only. */
const NODE_MODULES_IN = ['platform', 'cli'];

interface Import {
  readonly file: string;
  readonly specifier: string;
}

test('every import follows the table', () => {
  const wrong: string[] = [];
  for (const { file, specifier } of imports()) {
    const reason = objection(file, specifier);
    if (reason !== undefined) wrong.push(`src/${file} imports ${specifier}: ${reason}`);
  }
  assert.deepEqual(wrong, []);
});

test('every folder of src is in the table', () => {
  const unknown = readdirSync(SOURCE).filter((name) => !(name in MAY_IMPORT));
  assert.deepEqual(unknown, []);
});

/** What brings all together may reach for anything below it. */
const OPEN = ['pipeline', 'cli', 'index.ts'];

test('nothing is allowed that nobody does', () => {
  const done = new Set(imports().map(({ file, specifier }) => `${placeOf(file)} -> ${targetOf(file, specifier)}`));
  const folders = Object.entries(MAY_IMPORT).filter(([folder]) => !OPEN.includes(folder));
  const packages = Object.entries(PACKAGES).flatMap(([name, users]) =>
    users.map((folder) => [folder, [name]] as const),
  );
  const idle = [...folders, ...packages].flatMap(([folder, allowed]) =>
    allowed.map((name) => `${folder} -> ${name}`).filter((edge) => !done.has(edge)),
  );
  assert.deepEqual(idle, []);
});

test('ARCHITECTURE.md has the same table', () => {
  const text = readFileSync(new URL('../ARCHITECTURE.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| (`[^|]+) \|[^\n]*\| ([^|\n]*)\|$/gm)].flatMap(([, folders = '', allowed = '']) =>
    folders.split(', ').map((folder) => ({ folder: folder.replaceAll('`', ''), allowed: allowed.trim() })),
  );
  const said = new Map(rows.map(({ folder, allowed }) => [folder, allowed]));
  // The version is a constant that needs no row.
  assert.deepEqual(
    Object.keys(MAY_IMPORT).filter((folder) => !said.has(folder)),
    ['version.ts'],
  );
  for (const [folder, allowed] of said) {
    const listed = MAY_IMPORT[folder] ?? [];
    const above = rows
      .slice(
        0,
        rows.findIndex((row) => row.folder === folder),
      )
      .map((row) => row.folder);
    const base = ['errors.ts', 'platform'];
    if (allowed === 'all above') {
      assert.deepEqual([...listed].sort(), above.filter((one) => !base.includes(one)).sort(), folder);
    } else if (allowed === 'pipeline and below') {
      assert.deepEqual(
        listed.filter((one) => !above.includes(one) && one !== 'version.ts'),
        [],
        folder,
      );
    } else {
      assert.deepEqual(allowed === '' ? [] : allowed.split(', ').sort(), [...listed].sort(), folder);
    }
  }
});

test('folders only import what comes before them in the table, so no cycle can arise', () => {
  const order = Object.keys(MAY_IMPORT).filter((name) => name !== 'platform');
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    for (const name of allowed.filter((one) => one !== 'platform')) {
      assert.ok(order.indexOf(name) < order.indexOf(folder), `${folder} lists ${name}, which comes later`);
    }
  }
});

function objection(file: string, specifier: string): string | undefined {
  const from = placeOf(file);
  if (specifier.startsWith('node:')) {
    return NODE_MODULES_IN.includes(from) && file !== 'platform/types.ts'
      ? undefined
      : 'Node modules belong to platform and cli';
  }
  const to = targetOf(file, specifier);
  if (!specifier.startsWith('.')) return PACKAGES[to]?.includes(from) ? undefined : 'this package has no business here';
  const isOpen = normalize(join(file, '..', specifier)) === 'platform/types.ts';
  if (to === from || to === 'errors.ts' || isOpen) return undefined;
  return MAY_IMPORT[from]?.includes(to) ? undefined : 'not in the table';
}

/** A folder or root file of src, or a package. */
function targetOf(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return placeOf(normalize(join(file, '..', specifier)));
  return specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!;
}

function placeOf(file: string): string {
  return file.split('/')[0]!;
}

function imports(): Import[] {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) => {
    const text = readFileSync(join(SOURCE, file), 'utf8');
    const found = text.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s*['"]([^'"]+)['"]/g,
    );
    return [...found].map((match) => ({
      file: relative(SOURCE, join(SOURCE, file)),
      specifier: (match[1] ?? match[2] ?? match[3])!,
    }));
  });
}
