/** The machine as Node shows it: the one implementation of `Platform`, loaded by the command line and by tests. */
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import process from 'node:process';
import { nodeCompression } from './node-compression.ts';
import { NodeFiles } from './node-files.ts';
import type { NodeHttp } from './node-http.ts';
import { runProcess } from './node-process.ts';
import { nodeSigning } from './node-signing.ts';
import type { Hash, HashAlgorithm, Platform } from './types.ts';

/** A platform over this process. Close it when done: it pools file handles and connections. */
export function nodePlatform(environment: Platform['environment'] = process.env): Platform {
  const files = new NodeFiles();
  // The HTTP client is a large library: most commands need it late or never.
  let http: Promise<NodeHttp> | undefined;
  const openHttp = async (): Promise<NodeHttp> => new (await import('./node-http.ts')).NodeHttp(environment);
  return {
    files,
    compression: nodeCompression,
    signing: nodeSigning,
    hash: nodeHash,
    async http(request) {
      http ??= openHttp();
      return (await http).exchange(request);
    },
    run: runProcess,
    architecture: architectureOf(process.arch),
    environment,
    homeDirectory: environment.HOME ?? homedir(),
    async close() {
      await files.close();
      await (await http)?.close();
    },
  };
}

function nodeHash(algorithm: HashAlgorithm): Hash {
  const hash = createHash(algorithm);
  return {
    update(data) {
      hash.update(data);
    },
    digest() {
      return new Uint8Array(hash.digest());
    },
  };
}

function architectureOf(architecture: string): Platform['architecture'] {
  if (architecture === 'x64') return 'amd64';
  return architecture === 'arm64' ? 'arm64' : 'other';
}
