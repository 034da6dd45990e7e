/** Catalogs where they are: images of registries and layouts, files; mirrors stand for the official one. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { read } from '../../src/bytes/read.ts';
import { parseWantedExtension } from '../../src/extensions/catalog.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { parseMirrors } from '../../src/oci/registry/mirrors.ts';
import { resolveExtensionNames, resolveOverlayName } from '../../src/pipeline/catalog.ts';
import { treeOfLiterals } from '../../src/tree/tree.ts';
import { type TestImage, testImage, writeLayout } from '../support/image.ts';
import { testWorkplace } from '../support/pipeline.ts';
import { startRegistry } from '../support/registry.ts';
import { rejected } from '../support/rejected.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const GVISOR = `ghcr.io/siderolabs/gvisor:v1@${DIGEST}`;
const OWN = `registry.example/acme/agent:v1@${DIGEST}`;
const VERSION = { version: 'v1.13.0' };

async function imageOf(files: Readonly<Record<string, string>>): Promise<TestImage> {
  return testImage([{ data: await read(layoutTar(treeOfLiterals(files))) }]);
}

test('the official catalog comes from where its registry is mirrored', async () => {
  const registry = await startRegistry();
  try {
    registry.serve('siderolabs/extensions', 'v1.13.0', await imageOf({ 'image-digests': `${GVISOR}\n` }));
    const overlays = `overlays:\n- name: rpi_generic\n  image: ghcr.io/siderolabs/sbc:v1\n  digest: ${DIGEST}\n`;
    registry.serve('siderolabs/overlays', 'v1.13.0', await imageOf({ 'overlays.yaml': overlays }));
    await using workplace = await testWorkplace({
      transport: { mirrors: parseMirrors([`ghcr.io=${registry.url}`]) },
      trust: {
        rules: [{ pattern: 'ghcr.io/siderolabs/*', demand: { kind: 'unsigned' }, origin: 'test' }],
        otherwise: [],
      },
    });
    assert.deepEqual(await resolveExtensionNames(workplace, [parseWantedExtension('gvisor')], VERSION), {
      references: [GVISOR],
      catalogs: ['ghcr.io/siderolabs/extensions:v1.13.0'],
    });
    const asked = registry.requests.length;
    const catalogs = [join(workplace.directory, 'own')];
    await writeFile(catalogs[0]!, `${OWN}\n`);
    const agent = [parseWantedExtension('acme/agent')];
    assert.deepEqual(await resolveExtensionNames(workplace, agent, { ...VERSION, catalogs }), {
      references: [OWN],
      catalogs,
    });
    assert.equal(registry.requests.length, asked, 'an own catalog was enough');
    await assert.rejects(
      resolveExtensionNames(workplace, [parseWantedExtension('acme/agnt')], { ...VERSION, catalogs }),
      rejected(
        'dependency',
        /^system extension acme\/agnt: not in \S+own, ghcr\.io\/siderolabs\/extensions:v1\.13\.0$/,
      ),
    );
    assert.equal(
      (await resolveOverlayName(workplace, 'rpi_generic', VERSION)).reference,
      `ghcr.io/siderolabs/sbc:v1@${DIGEST}`,
    );
    await assert.rejects(
      resolveOverlayName(workplace, 'rpi_generc', VERSION),
      (error: { hint?: string }) => error.hint === 'did you mean rpi_generic?',
    );
  } finally {
    await registry.close();
  }
});

test('a catalog in a layout', async () => {
  await using workplace = await testWorkplace();
  const layout = join(workplace.directory, 'catalog');
  await writeLayout(layout, { v1: await imageOf({ 'image-digests': `${OWN}\n` }), v2: await imageOf({ other: '' }) });
  const wanted = [parseWantedExtension('acme/agent')];
  const options = { ...VERSION, catalogs: [`oci:${layout}:v1`] };
  assert.deepEqual((await resolveExtensionNames(workplace, wanted, options)).references, [OWN]);
  await assert.rejects(
    resolveExtensionNames(workplace, wanted, { ...VERSION, catalogs: [`oci:${layout}:v2`] }),
    rejected('dependency', /^catalog: oci:\S+:v2: no image-digests in it$/),
  );
});
