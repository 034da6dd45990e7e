/** `imager store ls | verify | prune`. */
import { openStore } from '../oci/store/store.ts';
import { defaultStoreDirectory } from '../pipeline/workplace.ts';
import type { Invocation } from './command-line.ts';
import type { Io } from './io.ts';
import { formatBytes } from './progress.ts';

type StoreInvocation = Extract<Invocation, { command: `store ${string}` }>;

/** Exit 6 when `verify` found damage. */
export async function runStore(invocation: StoreInvocation, io: Io): Promise<number> {
  const store = await openStore(io.platform, invocation.store ?? defaultStoreDirectory(io.platform));
  const print = (value: unknown, text: () => string): void =>
    io.stdout.write(invocation.json ? `${JSON.stringify(value, null, 2)}\n` : text());
  switch (invocation.command) {
    case 'store ls': {
      const listing = await store.list();
      print({ directory: store.directory, ...listing }, () => formatListing(store.directory, listing));
      return 0;
    }
    case 'store verify': {
      const report = await store.verify({ signal: io.signal });
      print(report, () => formatVerification(report));
      return report.damage.length === 0 ? 0 : 6;
    }
    case 'store prune': {
      const { olderThan } = invocation;
      const report = await store.prune({ now: io.now(), olderThan, signal: io.signal });
      print(report, () => `removed ${counted(report.images.length, 'image')}, ${formatBytes(report.freed)}\n`);
      return 0;
    }
  }
}

type Listing = Awaited<ReturnType<Awaited<ReturnType<typeof openStore>>['list']>>;

function formatListing(directory: string, { images, usage }: Listing): string {
  const lines = images.map(({ name, manifestDigest, platform, size, lastUsed }) => {
    const used = new Date(lastUsed * 1000).toISOString().slice(0, 16).replace('T', ' ');
    return `${used}  ${formatBytes(size).padStart(10)}  ${platform.os}/${platform.architecture}  ${name ?? manifestDigest}\n`;
  });
  const total = usage.blobs + usage.layers + usage.derived + usage.signatures + usage.temporary;
  return `${lines.join('')}${counted(images.length, 'image')}, ${formatBytes(total)} in ${directory}\n`;
}

type Verification = Awaited<ReturnType<Awaited<ReturnType<typeof openStore>>['verify']>>;

function formatVerification({ files, bytes, damage }: Verification): string {
  const lines = damage.map(({ path, reason }) => `damaged: ${path}: ${reason}\n`);
  const verdict = damage.length === 0 ? 'all good' : `${damage.length} damaged; removed where it could be read`;
  return `${lines.join('')}${counted(files, 'file')}, ${formatBytes(bytes)}: ${verdict}\n`;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
