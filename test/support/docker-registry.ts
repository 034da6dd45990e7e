/** The real registry server (Debian package `docker-registry`) on loopback, filled by skopeo. For test/integration. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** The one account of a registry started with `basicAuth`. */
export const TEST_USER = 'pilot';
export const TEST_PASSWORD = 'open:sesame';
/** bcrypt (cost 4, the least) of `TEST_PASSWORD`: the only form the registry takes, and Node cannot make it. */
const TEST_PASSWORD_HASH = '$2b$04$abcdefghijklmnopqrstuu2GbQLdjwBFdH8CcOE866nGziodmvO8K';

export interface DockerRegistry {
  /** `127.0.0.1:PORT`, plain HTTP. */
  readonly host: string;
  /** Copies one image, all platforms, from an OCI layout directory to `<host>/<repository>:<tag>`. */
  push(layout: string, name: string, repository: string, tag: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts `docker-registry serve` with its storage in a temporary directory. */
export async function startDockerRegistry(options: { readonly basicAuth?: boolean } = {}): Promise<DockerRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'bootwright-registry-'));
  const port = await unusedPort();
  const host = `127.0.0.1:${port}`;
  const basicAuth = options.basicAuth === true;
  await writeFile(join(directory, 'config.yml'), configuration(directory, host, basicAuth));
  await writeFile(join(directory, 'htpasswd'), `${TEST_USER}:${TEST_PASSWORD_HASH}\n`);
  const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
  const close = async (): Promise<void> => {
    await stop(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(child, host);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    host,
    close,
    async push(layout, name, repository, tag) {
      const login = basicAuth ? [`--dest-creds=${TEST_USER}:${TEST_PASSWORD}`] : [];
      const target = `docker://${host}/${repository}:${tag}`;
      const args = [
        'copy',
        '--insecure-policy',
        '--all',
        '--preserve-digests',
        '--quiet',
        '--dest-tls-verify=false',
        ...login,
      ];
      await execute('skopeo', [...args, `oci:${layout}:${name}`, target], { env: skopeoEnvironment(directory) });
    },
  };
}

function configuration(directory: string, host: string, basicAuth: boolean): string {
  const lines = [
    'version: 0.1',
    'log: {level: error}',
    `storage: {filesystem: {rootdirectory: ${JSON.stringify(join(directory, 'data'))}}}`,
    `http: {addr: ${JSON.stringify(host)}, secret: test}`,
  ];
  if (basicAuth) lines.push(`auth: {htpasswd: {realm: test, path: ${JSON.stringify(join(directory, 'htpasswd'))}}}`);
  return `${lines.join('\n')}\n`;
}

/** Nothing of the user's own registry configuration or credentials may get into a test. */
function skopeoEnvironment(directory: string): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: directory, XDG_RUNTIME_DIR: directory };
}

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilReady(child: ChildProcess, host: string): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  for (let tries = 0; tries < 200; tries++) {
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
    const status = await fetch(`http://${host}/v2/`).then(
      (answer) => answer.body?.cancel().then(() => answer.status),
      () => undefined,
    );
    if (status === 200 || status === 401) return;
    await delay(50);
  }
  throw new Error(`docker-registry does not answer on ${host} after 10 s`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
