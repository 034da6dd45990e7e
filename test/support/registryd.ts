/**
 * What the registry service of a Talos node does with an image cache, as a judge that shares nothing with our own reader: it answers
 * `GET /v2/<repository>/{manifests,blobs}/<reference>?ns=<registry>` as containerd asks it. Facts: upstream
 * internal/app/machined/pkg/system/services/registry.
 */
import { createHash } from 'node:crypto';

/** A file of the cache; `undefined` when it is not there. */
export type ReadCacheFile = (path: string) => Promise<Uint8Array | undefined>;

export interface RegistrydAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly digest: string;
  readonly body: Uint8Array;
}

const NOTHING = { contentType: '', digest: '', body: new Uint8Array() };
const NAME = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;

/** `path` is that of the URL, `ns` its query parameter: the registry of the image, as in references (`docker.io`, `host:5000`). */
export async function askRegistryd(read: ReadCacheFile, path: string, ns: string): Promise<RegistrydAnswer> {
  const parts = path.replace(/^\/v2\//, '').split('/');
  const [kind, identifier] = [parts.at(-2), parts.at(-1)!];
  const name = parts.slice(0, -2).join('/');
  if (kind !== 'blobs' && kind !== 'manifests') return { status: 404, ...NOTHING };
  if (!NAME.test(name)) return { status: 400, ...NOTHING };
  const directory = `manifests/${withoutPort(ns)}/${inLibrary(ns, name)}`;
  let digest = identifier;
  if (!identifier.startsWith('sha256:')) {
    const tagged = await read(`${directory}/reference/${identifier}`);
    if (tagged === undefined) return { status: 404, ...NOTHING };
    digest = sha256(tagged);
    // It reads the document of that digest too, and hashes it.
    const same = await read(`${directory}/digest/${fileName(digest)}`);
    if (same === undefined || sha256(same) !== digest) return { status: 500, ...NOTHING };
  }
  const body = await read(kind === 'blobs' ? `blob/${fileName(digest)}` : `${directory}/digest/${fileName(digest)}`);
  if (body === undefined) return { status: 404, ...NOTHING };
  if (kind === 'blobs') return { status: 200, contentType: '', digest, body };
  const contentType = mediaTypeOf(body);
  return contentType === undefined ? { status: 500, ...NOTHING } : { status: 200, contentType, digest, body };
}

interface Named {
  readonly digest: string;
  readonly size: number;
}

interface Document {
  readonly manifests?: readonly (Named & {
    readonly platform?: { readonly os: string; readonly architecture: string };
  })[];
  readonly config?: Named;
  readonly layers?: readonly Named[];
}

/** Pulls an image as containerd does: the index, the manifest for the architecture, config and layers, each held to its digest. Returns the blobs. */
export async function pullFromRegistryd(
  read: ReadCacheFile,
  image: { readonly registry: string; readonly repository: string; readonly identifier: string },
  architecture: string,
): Promise<Uint8Array[]> {
  const { registry, repository, identifier } = image;
  const ask = async (kind: string, what: string): Promise<Uint8Array> => {
    const { status, digest, body } = await askRegistryd(read, `/v2/${repository}/${kind}/${what}`, registry);
    if (status !== 200) throw new Error(`${registry}/${repository} ${kind} ${what}: status ${status}`);
    if (sha256(body) !== digest) throw new Error(`${registry}/${repository} ${kind} ${what}: content is not ${digest}`);
    return body;
  };
  let document = parse(await ask('manifests', identifier));
  if (document.manifests !== undefined) {
    const child = document.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    );
    if (child === undefined) throw new Error(`${repository}: nothing for ${architecture}`);
    document = parse(await ask('manifests', child.digest));
  }
  const blobs: Uint8Array[] = [];
  for (const { digest, size } of [document.config!, ...document.layers!]) {
    const blob = await ask('blobs', digest);
    if (blob.length !== size) throw new Error(`${repository}: blob ${digest} has ${blob.length} bytes, want ${size}`);
    blobs.push(blob);
  }
  return blobs;
}

/** The last colon of a registry, and only if something is before it. */
function withoutPort(registry: string): string {
  const at = registry.lastIndexOf(':');
  return at > 0 ? `${registry.slice(0, at)}_${registry.slice(at + 1)}_` : registry;
}

function inLibrary(registry: string, name: string): string {
  return registry === 'docker.io' && !name.includes('/') ? `library/${name}` : name;
}

function fileName(digest: string): string {
  return digest.replace('sha256:', 'sha256-');
}

function mediaTypeOf(data: Uint8Array): string | undefined {
  const document = JSON.parse(new TextDecoder().decode(data)) as Document & { readonly mediaType?: string };
  if (document.mediaType) return document.mediaType;
  if (document.manifests !== undefined) return 'application/vnd.oci.image.index.v1+json';
  return document.layers === undefined && document.config === undefined
    ? undefined
    : 'application/vnd.oci.image.manifest.v1+json';
}

function parse(data: Uint8Array): Document {
  return JSON.parse(new TextDecoder().decode(data)) as Document;
}

function sha256(data: Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}
