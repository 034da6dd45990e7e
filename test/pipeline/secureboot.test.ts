import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from '../../src/pipeline/build.ts';
import { planBuild } from '../../src/pipeline/plan.ts';
import { assetFiles, testRequest, testWorkplace, writeFiles } from '../support/pipeline.ts';
import { rejected } from '../support/rejected.ts';
import { keysIn, testKeyPem, writeTestKeys } from '../support/secureboot.ts';

test('keys and databases that changed since they were planned are refused', async () => {
  await using workplace = await testWorkplace();
  const { directory } = workplace;
  const at = (name: string): string => join(directory, name);
  await writeFiles(at('assets'), assetFiles());
  await writeTestKeys(directory);
  for (const name of ['PK', 'KEK', 'db']) await writeFile(at(`${name}.auth`), name);
  const secureboot = {
    ...keysIn(directory),
    platformKeyPath: at('PK.auth'),
    keyExchangeKeyPath: at('KEK.auth'),
    signatureKeyPath: at('db.auth'),
  };
  const profile = { baseProfileName: 'secureboot-iso', input: { secureboot } };
  const request = testRequest(profile, { assets: `dir:${at('assets')}` });
  const plan = await planBuild(workplace, request, { resolve: true });
  await build(workplace, request, plan);

  await writeFile(at('KEK.auth'), 'another');
  const changed = (what: RegExp): ReturnType<typeof rejected> => rejected('verification', what);
  await assert.rejects(
    build(workplace, request, plan),
    changed(/^secureboot-database .*KEK\.auth: sha256:\w+, the plan/),
  );
  await writeFile(at('KEK.auth'), 'KEK');
  await writeFile(at('pcr-test-key.pem'), testKeyPem('uki-test-key'));
  await assert.rejects(build(workplace, request, plan), changed(/^pcr-key .*pcr-test-key\.pem: sha256:\w+, the plan/));
  await build(workplace, request, await planBuild(workplace, request, { resolve: false }));
});
