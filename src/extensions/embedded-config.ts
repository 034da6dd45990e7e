/** The virtual extension that carries a machine configuration into an image (spec profiles-and-inputs 7.8). */
import { sha256 } from '@noble/hashes/sha2.js';
import { type Bytes, ofMemory, ofText } from '../bytes/bytes.ts';
import { toHex } from '../bytes/field.ts';
import { layoutTarEntries } from '../formats/tar/layout-tar.ts';
import { DEFAULT_DIRECTORY, type Entry } from '../tree/tree.ts';
import { emitYaml } from '../yaml/emit.ts';
import type { ExtensionMetadata } from './manifest.ts';

/** Only the machine configuration controller of a node may read what is labelled so. */
const STATE_LABEL = 'system_u:object_r:system_state_t:s0';

const FILE = { uid: 0, gid: 0, mtime: 0 } as const;

export function embeddedConfigMetadata(config: Uint8Array): ExtensionMetadata {
  return {
    name: 'embedded-config',
    version: toHex(sha256(config)),
    author: 'Imager',
    description: 'Virtual extension which embeds the machine configuration.',
    constraint: '>= 1.0.0',
    extraInfo: '',
  };
}

/** The extension's files in the order of upstream's archive. The configuration is not looked at: that is the business of `machineconfig`. */
export function embeddedConfigEntries(config: Uint8Array): Entry[] {
  const { name, version, author, description, constraint } = embeddedConfigMetadata(config);
  const manifest = emitYaml({
    version: 'v1alpha1',
    metadata: { name, version, author, description, compatibility: { talos: { version: constraint } } },
  });
  const directories = ['rootfs', 'usr', 'local', 'etc', 'talos'].map((_, index, names) =>
    names.slice(0, index + 1).join('/'),
  );
  return [
    { kind: 'file', path: 'manifest.yaml', mode: 0o644, ...FILE, content: ofText(manifest) },
    ...directories.map((path): Entry => ({ kind: 'directory', path, ...DEFAULT_DIRECTORY })),
    {
      kind: 'file',
      path: 'rootfs/usr/local/etc/talos/config.yaml',
      mode: 0o400,
      ...FILE,
      content: ofMemory(config),
      xattrs: new Map([['security.selinux', new TextEncoder().encode(STATE_LABEL)]]),
    },
  ];
}

/** As upstream archives it. */
export function embeddedConfigTar(config: Uint8Array): Bytes {
  return layoutTarEntries(embeddedConfigEntries(config), { directories: 'plain' });
}
