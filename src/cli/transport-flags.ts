/** How registries are reached, as commands that ask them take it. */
import type { Command } from 'commander';
import { type Mirrors, parseMirrors } from '../oci/registry/mirrors.ts';
import type { Transport } from '../pipeline/workplace.ts';
import type { Platform } from '../platform/types.ts';

/** As given; absent where it was not. */
export interface TransportFlags {
  readonly mirror?: readonly string[];
  readonly hostsDir?: string;
  readonly insecure?: boolean;
  readonly offline?: boolean;
}

/** All but `--offline`, which not every command can keep. */
export function addTransportOptions(command: Command): Command {
  return command
    .option(
      '--mirror <HOST=ENDPOINT>',
      'ask ENDPOINT, a registry or oci:DIR, for HOST; repeatable',
      (one: string, before: string[] = []) => [...before, one],
    )
    .option('--hosts-dir <DIR>', "mirrors and certificates of registries, as in containerd's hosts.toml files")
    .option('--insecure', 'do not check TLS certificates, allow plain HTTP');
}

/** Throws `invalid-input` for mirrors and hosts files, `io`. */
export async function transportOf(flags: TransportFlags, platform: Platform): Promise<Transport> {
  const { mirror = [], hostsDir, insecure = false, offline = false } = flags;
  const given = parseMirrors(mirror);
  const mirrors = hostsDir === undefined ? given : over(given, await readHosts(platform, hostsDir));
  return { mirrors, insecure, offline };
}

/** Loaded when it is asked for: it brings a TOML parser. */
async function readHosts({ files }: Platform, directory: string): Promise<Mirrors> {
  const { readHostsDirectory } = await import('../oci/registry/hosts-directory.ts');
  return readHostsDirectory(files, directory);
}

/** What is given on the command line comes first, and takes nothing else away. */
function over(given: Mirrors, written: Mirrors): Mirrors {
  const merged = Object.entries(given).map(([host, { endpoints, ...rest }]) => {
    const below = Object.hasOwn(written, host) ? written[host] : undefined;
    return [host, { ...below, ...rest, endpoints: [...endpoints, ...(below?.endpoints ?? [])] }] as const;
  });
  return { ...written, ...Object.fromEntries(merged) };
}
