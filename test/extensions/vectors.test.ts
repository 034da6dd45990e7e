/** Manifests, contents, services and derived files of extensions as upstream judges and writes them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ofText } from '../../src/bytes/bytes.ts';
import { toMemory } from '../../src/bytes/read.ts';
import { ImagerError } from '../../src/errors.ts';
import { parseConstraint } from '../../src/extensions/constraint.ts';
import { checkContents } from '../../src/extensions/contents.ts';
import { embeddedConfigTar } from '../../src/extensions/embedded-config.ts';
import { extensionsYaml } from '../../src/extensions/extensions-yaml.ts';
import { openExtension } from '../../src/extensions/layout.ts';
import { type ExtensionMetadata, parseManifest } from '../../src/extensions/manifest.ts';
import { readService } from '../../src/extensions/service.ts';
import { parseTalosVersion } from '../../src/profiles/talos-version.ts';
import { type Entry, type Tree, treeOf } from '../../src/tree/tree.ts';
import { vectorLines } from '../support/vectors.ts';

interface FileRecord {
  readonly path: string;
  readonly data?: string;
  readonly kind?: 'file' | 'dir' | 'symlink' | 'fifo' | 'char' | 'block' | 'socket';
  readonly mode?: number;
}

interface ExtensionCase {
  readonly id: string;
  readonly files: readonly FileRecord[];
  readonly checks: readonly ('constraints' | 'contents')[];
  readonly talosVersion: string;
  readonly expect: {
    readonly error?: string;
    readonly constraints?: string;
    readonly contents?: string;
    readonly metadata?: ExtensionMetadata;
  };
}

const OWN_VERSION = '1.14.0';

/** What no tree can hold. */
const NO_TREE = /^special\/socket/;

/** Let through by upstream, which compares the beginnings of paths: warnings here. */
const NEAR_PLACES =
  /^path\/(?:etc\/cri\/conf\.dx|usr\/lib\/modules-load\.d\/x|usr\/lib\/ld-linux-aarch64\.so\.10|etc\/ld\.so\.conf\.d\/x\.conf|usr\/localx|usr\/share\/eglx)/;

describe('extensions', () => {
  for (const one of vectorLines<ExtensionCase>('extensions/extensions.jsonl.gz')) {
    if (NO_TREE.test(one.id)) continue;
    test(one.id, async () => {
      const { error, constraints, contents, metadata } = one.expect;
      const opening = openExtension(treeOfFiles(one.files), 'extension');
      if (error !== undefined) {
        await assert.rejects(opening, (thrown) => thrown instanceof ImagerError && thrown.code === 'invalid-input');
        return;
      }
      const extension = await opening;
      assert.deepEqual(extension.metadata, metadata);
      if (one.checks.includes('constraints')) assert.equal(constraintVerdict(one), verdictOf(constraints));
      if (one.checks.includes('contents')) {
        const problems = checkContents(extension.rootfs, { mergedUsr: true });
        const errors = problems.filter(({ severity }) => severity === 'error');
        assert.equal(errors.length === 0, contents === 'ok', JSON.stringify(problems));
        if (contents !== 'ok') assert.match(contents ?? '', new RegExp(`"${errors[0]?.path}"`));
        assert.equal(problems.length > errors.length, NEAR_PLACES.test(one.id));
      }
    });
  }
});

function verdictOf(text: string | undefined): string {
  if (text === 'ok') return 'ok';
  return text?.includes("can't be satisfied") === true ? 'unsatisfied' : 'unreadable';
}

function constraintVerdict({ expect, talosVersion }: ExtensionCase): string {
  const version = parseTalosVersion(talosVersion) ?? parseTalosVersion(OWN_VERSION);
  assert.ok(version);
  try {
    return parseConstraint(expect.metadata?.constraint ?? '')(version) ? 'ok' : 'unsatisfied';
  } catch (error) {
    assert.ok(error instanceof ImagerError && error.code === 'invalid-input', String(error));
    return 'unreadable';
  }
}

function treeOfFiles(files: readonly FileRecord[]): Tree {
  return treeOf(
    files.map(({ path, kind = 'file', data = '', mode = 0o644 }): Entry => {
      const common = { path, mode, uid: 0, gid: 0, mtime: 0 };
      switch (kind) {
        case 'dir':
          return { kind: 'directory', ...common };
        case 'symlink':
          return { kind: 'symlink', ...common, target: data };
        case 'fifo':
          return { kind: 'fifo', ...common };
        case 'char':
        case 'block':
          return { kind: kind === 'char' ? 'character' : 'block', ...common, major: 1, minor: 3 };
        default:
          return { kind: 'file', ...common, content: ofText(data) };
      }
    }),
  );
}

interface ServiceCase {
  readonly id: string;
  readonly text: string;
  readonly expect: { readonly accepted: boolean; readonly errors?: readonly string[] };
}

describe('services', () => {
  for (const { id, text, expect } of vectorLines<ServiceCase>('extensions/services.jsonl.gz')) {
    test(id, () => {
      const { problems } = readService(text, 'service.yaml');
      const errors = problems.filter(({ severity }) => severity === 'error');
      assert.equal(errors.length === 0, expect.accepted, JSON.stringify(problems));
      // Each of upstream's complaints has one of ours.
      if (expect.errors !== undefined) assert.equal(errors.length, expect.errors.length, JSON.stringify(errors));
    });
  }
});

interface YamlCase {
  readonly id: string;
  readonly layers: readonly (ExtensionMetadata & { readonly image: string })[];
  readonly expect: { readonly text: string };
  readonly expectV1_13_9?: { readonly text: string };
}

describe('extensions.yaml', () => {
  for (const { id, layers, expect, expectV1_13_9 } of vectorLines<YamlCase>('extensions/extensions-yaml.jsonl.gz')) {
    test(id, () => {
      const written = layers.map(({ image, ...metadata }) => ({ image, metadata }));
      assert.equal(extensionsYaml(written), expect.text);
      assert.equal(extensionsYaml(written, { fold: false }), (expectV1_13_9 ?? expect).text);
    });
  }
});

interface EmbeddedCase {
  readonly id: string;
  readonly config: string;
  readonly expect: { readonly tarGzipBase64: string };
}

describe('embedded configuration', () => {
  for (const { id, config, expect } of vectorLines<EmbeddedCase>('extensions/embedded-config.jsonl.gz')) {
    test(id, async () => {
      const tar = await toMemory(embeddedConfigTar(new TextEncoder().encode(config)), 1 << 20, 'archive');
      assert.deepEqual(Buffer.from(tar), gunzipSync(Buffer.from(expect.tarGzipBase64, 'base64')));
    });
  }
});

test('a manifest tells every mistake with its place, and what nobody reads', () => {
  const text = 'version: v1alpha1\nmetadata:\n  name: [a]\n  autor: x\n  version: {}\n';
  assert.throws(
    () => parseManifest(text, 'm.yaml'),
    /m\.yaml:3:9: metadata\.name: [\s\S]*m\.yaml:5:12: metadata\.version: /,
  );
  const { warnings } = parseManifest('version: v1alpha1\nmetadata: {autor: x}\n', 'm.yaml');
  assert.deepEqual(warnings, ['m.yaml:2:12: metadata.autor: unknown key, Talos would ignore it']);
});
