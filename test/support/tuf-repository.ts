/** A TUF repository on loopback with keys of its own, that serves what a test tells it, wrong things too. Written after the specification, not with the library that reads it. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RoleName = 'root' | 'timestamp' | 'snapshot' | 'targets';
const ROLES: readonly RoleName[] = ['root', 'timestamp', 'snapshot', 'targets'];

export type Keys = Readonly<Record<RoleName, RoleKey>>;

interface RoleKey {
  readonly id: string;
  readonly value: object;
  readonly privateKey: KeyObject;
}

export interface Edition {
  /** Of timestamp, snapshot and targets. */
  readonly version: number;
  /** Content of `trusted_root.json`. */
  readonly target: string;
  /** Seconds since 1970; of all but the root unless told. */
  readonly expires: number;
  /** In place of the repository's own, by role. */
  readonly signedBy?: Partial<Keys>;
}

export interface TufServer {
  readonly url: string;
  readonly host: string;
  /** The `root.json` a client begins with. */
  readonly initialRoot: Buffer;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** By path; a function answers itself. */
  readonly files: Map<string, Buffer | ((response: ServerResponse) => void)>;
  publish(edition: Edition): void;
  /** The next root, with new keys for every role; signed by the old root key unless told. */
  rotate(options?: { readonly expires?: number; readonly signedByOld?: boolean }): void;
  close(): Promise<void>;
}

const FAR = Date.parse('2100-01-01T00:00:00Z') / 1000;

export async function startTufServer({
  rootExpires = FAR,
  consistentSnapshot = true,
}: {
  readonly rootExpires?: number;
  /** Whether the names of files have their versions or digests in front. */
  readonly consistentSnapshot?: boolean;
} = {}): Promise<TufServer> {
  const files: TufServer['files'] = new Map();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1);
    requests.push(path);
    const found = files.get(path);
    if (typeof found === 'function') return found(response);
    if (found === undefined) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': found.length }).end(found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let keys = makeKeys();
  let rootVersion = 1;
  const named = (prefix: string | number, name: string): string => (consistentSnapshot ? `${prefix}.${name}` : name);
  const initialRoot = signed(rootOf(1, rootExpires, keys, consistentSnapshot), [keys.root]);
  return {
    url: `http://${host}`,
    host,
    initialRoot,
    requests,
    files,
    publish({ version, target, expires, signedBy = {} }) {
      const by = { ...keys, ...signedBy };
      const content = Buffer.from(target);
      const common = { spec_version: '1.0', version, expires: dateText(expires) };
      const targets = signed(
        {
          _type: 'targets',
          ...common,
          targets: { 'trusted_root.json': { length: content.length, hashes: { sha256: hex(content) } } },
        },
        [by.targets],
      );
      const meta = (name: string, raw: Buffer): object => ({
        [name]: { version, length: raw.length, hashes: { sha256: hex(raw) } },
      });
      const snapshot = signed({ _type: 'snapshot', ...common, meta: meta('targets.json', targets) }, [by.snapshot]);
      const timestamp = signed({ _type: 'timestamp', ...common, meta: meta('snapshot.json', snapshot) }, [
        by.timestamp,
      ]);
      files.set('timestamp.json', timestamp);
      files.set(named(version, 'snapshot.json'), snapshot);
      files.set(named(version, 'targets.json'), targets);
      files.set(`targets/${named(hex(content), 'trusted_root.json')}`, content);
    },
    rotate({ expires = FAR, signedByOld = true } = {}) {
      const next = makeKeys();
      rootVersion += 1;
      const signers = signedByOld ? [keys.root, next.root] : [next.root];
      files.set(`${rootVersion}.root.json`, signed(rootOf(rootVersion, expires, next, consistentSnapshot), signers));
      keys = next;
    },
    close: () => close(server),
  };
}

export function makeKeys(): Keys {
  return Object.fromEntries(ROLES.map((role) => [role, roleKey()])) as Record<RoleName, RoleKey>;
}

function roleKey(): RoleKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const value = {
    keytype: 'ecdsa',
    scheme: 'ecdsa-sha2-nistp256',
    keyval: { public: String(publicKey.export({ type: 'spki', format: 'pem' })) },
  };
  return { id: hex(Buffer.from(canonical(value))), value, privateKey };
}

function rootOf(version: number, expires: number, keys: Keys, consistentSnapshot: boolean): object {
  return {
    _type: 'root',
    spec_version: '1.0',
    version,
    expires: dateText(expires),
    consistent_snapshot: consistentSnapshot,
    keys: Object.fromEntries(ROLES.map((role) => [keys[role].id, keys[role].value])),
    roles: Object.fromEntries(ROLES.map((role) => [role, { keyids: [keys[role].id], threshold: 1 }])),
  };
}

function signed(content: object, keys: readonly RoleKey[]): Buffer {
  const payload = Buffer.from(canonical(content));
  const signatures = keys.map(({ id, privateKey }) => ({
    keyid: id,
    sig: sign('sha256', payload, privateKey).toString('hex'),
  }));
  return Buffer.from(JSON.stringify({ signed: content, signatures }));
}

/** OLPC's canonical JSON: keys in order, no blanks, only quotes and backslashes escaped. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, one]) => `${canonical(name)}:${canonical(one)}`).join(',')}}`;
}

function dateText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

function hex(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
