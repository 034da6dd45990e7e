/** `scripts/demo-assets DIR`: the command line around `buildDemoImage`. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDemoImage } from './image.ts';

const USAGE = `usage: scripts/demo-assets DIR [--tag NAME] [--mirror URL] [--refresh]

Writes an OCI image layout to DIR: an image in the form of an imager image whose kernel and user space are a
demonstration from Debian packages. It boots anywhere, says on the serial line what it was started with, and powers off.

  --tag NAME     reference name of the image, a Talos version (v1.13.0)
  --mirror URL   where Debian packages come from (http://deb.debian.org/debian)
  --refresh      look for newer packages although they are in the cache ($XDG_CACHE_HOME/bootwright-demo)

Needs apt, dpkg and debian-archive-keyring; no root.`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tag: { type: 'string', default: 'v1.13.0' },
      mirror: { type: 'string' },
      refresh: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [directory] = positionals;
  if (values.help || directory === undefined || positionals.length > 1) {
    (values.help ? process.stdout : process.stderr).write(`${USAGE}\n`);
    return values.help ? 0 : 1;
  }
  if (existsSync(directory)) {
    process.stderr.write(`demo-assets: ${directory} exists\n`);
    return 1;
  }
  await buildDemoImage(resolve(directory), {
    cache: join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bootwright-demo'),
    tag: values.tag,
    refresh: values.refresh,
    ...(values.mirror === undefined ? {} : { mirror: values.mirror.replace(/\/+$/, '') }),
    log: (line) => process.stderr.write(`demo-assets: ${line}\n`),
  });
  process.stdout.write(`oci:${directory}\n`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  const detail = (error as { stderr?: string }).stderr?.trim();
  process.stderr.write(`demo-assets: ${(error as Error).message}${detail ? `\n${detail}` : ''}\n`);
  process.exitCode = 1;
}
