/** Debian packages of any architecture through a private apt: no root, nothing installed, the system's own apt state untouched. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The release whose systemd-boot, kernel and GRUB are taken: its stub is the first that can become a UKI (no COFF symbols). */
const RELEASE = 'trixie';

const ARCHITECTURES = ['amd64', 'arm64'] as const;

export type Architecture = (typeof ARCHITECTURES)[number];

export interface WantedPackage {
  readonly name: string;
  readonly architecture: Architecture;
  /** A package without content that depends on the wanted one, whose name has a version in it. */
  readonly meta?: boolean;
}

export interface DownloadOptions {
  /** Where lists and packages are kept. */
  readonly directory: string;
  /** Without trailing slash. */
  readonly mirror?: string;
  /** Look for newer versions, although all packages are there. */
  readonly refresh?: boolean;
  readonly log?: (line: string) => void;
}

/** Paths of the `.deb` files, in the order of `wanted`. Nothing is fetched when all of them were fetched before. */
export async function downloadPackages(wanted: readonly WantedPackage[], options: DownloadOptions): Promise<string[]> {
  const { directory, mirror = 'http://deb.debian.org/debian', refresh = false, log = () => undefined } = options;
  await mkdir(directory, { recursive: true });
  const record = join(directory, 'packages.json');
  const keys = wanted.map(({ name, architecture }) => `${name}:${architecture}`);
  const known = await readRecord(record);
  const files = keys.map((key) => known[key] && join(directory, known[key]));
  if (!refresh && files.every((file) => file !== undefined && existsSync(file))) return files as string[];

  log(`reading package lists of Debian ${RELEASE} from ${mirror}`);
  const state = join(directory, `.apt-${process.pid}`);
  try {
    const apt = await privateApt(state, mirror);
    await apt('apt-get', 'update', '-q');
    const names = await Promise.all(wanted.map((one) => realName(apt, one)));
    log(`downloading ${names.length} packages`);
    const downloads = join(state, 'downloads');
    await mkdir(downloads);
    // apt checks the signature of the lists, and each package against them.
    await apt('apt-get', 'download', '-q', ...names);
    const found = await readdir(downloads);
    const next: Record<string, string> = {};
    for (const [index, name] of names.entries()) {
      const [base, architecture] = name.split(':') as [string, string];
      // A package for all architectures has none in its file name.
      const ends = [`_${architecture}.deb`, '_all.deb'];
      const file = found.find((one) => one.startsWith(`${base}_`) && ends.some((end) => one.endsWith(end)));
      if (file === undefined) throw new Error(`apt-get download ${name}: no file came of it`);
      await rename(join(downloads, file), join(directory, file));
      next[keys[index]!] = file;
    }
    await writeFile(`${record}.${process.pid}`, `${JSON.stringify({ ...known, ...next }, null, 2)}\n`);
    await rename(`${record}.${process.pid}`, record);
    return keys.map((key) => join(directory, next[key]!));
  } finally {
    await rm(state, { recursive: true, force: true });
  }
}

/** `package:architecture` to file name. */
async function readRecord(path: string): Promise<Record<string, string>> {
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Record<string, string>) : {};
}

type Apt = (program: string, ...args: readonly string[]) => Promise<string>;

/** apt with all its state below `state`, both architectures, and the proxy settings of the system. */
async function privateApt(state: string, mirror: string): Promise<Apt> {
  await rm(state, { recursive: true, force: true });
  for (const path of [
    'etc/apt/apt.conf.d',
    'etc/apt/preferences.d',
    'etc/apt/sources.list.d',
    'etc/apt/trusted.gpg.d',
    'var/lib/apt/lists/partial',
    'var/cache/apt/archives/partial',
    'var/lib/dpkg',
  ]) {
    await mkdir(join(state, path), { recursive: true });
  }
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  if (!existsSync(keyring)) throw new Error(`${keyring} is missing: install debian-archive-keyring`);
  await writeFile(join(state, 'var/lib/dpkg/status'), '');
  await writeFile(
    join(state, 'etc/apt/sources.list'),
    `deb [arch=${ARCHITECTURES.join(',')} signed-by=${keyring}] ${mirror} ${RELEASE} main\n`,
  );
  const configuration = join(state, 'apt.conf');
  await writeFile(
    configuration,
    [
      await proxySettings(),
      `Dir "${state}";`,
      `Dir::State::status "${state}/var/lib/dpkg/status";`,
      `APT::Architecture "${ARCHITECTURES[0]}";`,
      `APT::Architectures { ${ARCHITECTURES.map((one) => `"${one}";`).join(' ')} };`,
      'Acquire::Languages "none";',
      // As root apt would drop to a user that cannot write here.
      'APT::Sandbox::User "";',
      '',
    ].join('\n'),
  );
  return async (program, ...args) => {
    const { stdout } = await run(program, args, {
      cwd: existsSync(join(state, 'downloads')) ? join(state, 'downloads') : state,
      env: { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C' },
      maxBuffer: 1 << 26,
    });
    return stdout;
  };
}

async function proxySettings(): Promise<string> {
  const { stdout } = await run('apt-config', ['dump', 'Acquire']);
  return stdout
    .split('\n')
    .filter((line) => /^Acquire::https?::Proxy/i.test(line))
    .join('\n');
}

async function realName(apt: Apt, { name, architecture, meta = false }: WantedPackage): Promise<string> {
  if (!meta) return `${name}:${architecture}`;
  const depends = await apt('apt-cache', 'depends', `${name}:${architecture}`);
  const real = /Depends: (linux-image-[^\s:]+)/.exec(depends)?.[1];
  if (real === undefined) throw new Error(`${name}:${architecture}: depends on no kernel`);
  return `${real}:${architecture}`;
}

/** Regular files of a package whose path, without leading `./`, matches; by path. Links are not followed. */
export async function filesOf(deb: string, pattern: RegExp, scratch: string): Promise<Map<string, Uint8Array>> {
  const tar = join(scratch, 'data.tar');
  const listed = await run('sh', ['-c', 'dpkg-deb --fsys-tarfile "$1" > "$2" && tar -tf "$2"', 'sh', deb, tar], {
    maxBuffer: 1 << 26,
  });
  const wanted = listed.stdout.split('\n').filter((path) => pattern.test(path.replace(/^\.\//, '')));
  const content = new Map<string, Uint8Array>();
  const out = join(scratch, 'data');
  await mkdir(out, { recursive: true });
  const kept = wanted.filter((path) => !path.endsWith('/'));
  if (kept.length > 0) await run('tar', ['-xf', tar, '-C', out, ...kept]);
  for (const path of kept) content.set(path.replace(/^\.\//, ''), await readFile(join(out, path)));
  await rm(out, { recursive: true });
  await rm(tar);
  return content;
}
