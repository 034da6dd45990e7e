import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { withScratch } from '../../src/pipeline/scratch.ts';
import type { Files } from '../../src/platform/types.ts';
import { testWorkplace } from '../support/pipeline.ts';

test('a directory that cannot be removed does not hide what happened in it, and is removed by a later run', async () => {
  await using workplace = await testWorkplace();
  const { files } = workplace.platform;
  let isStuck = false;
  const stuck: Files = Object.create(files, {
    remove: {
      value: async (path: string) => {
        if (isStuck && path.endsWith('.d')) throw new Error('busy');
        await files.remove(path);
      },
    },
  });
  const inDirectory = (use: (directory: string) => Promise<void>): Promise<void> =>
    withScratch({ platform: { ...workplace.platform, files: stuck }, store: workplace.store }, 'program', use);
  const names = (): Promise<string[]> => files.list(join(workplace.store, 'tmp'));

  const failed = inDirectory(async (directory) => {
    await files.makeDirectory(directory);
    isStuck = true;
    throw new Error('the program failed');
  });
  await assert.rejects(failed, { message: 'the program failed' });
  assert.deepEqual(await names(), ['program.0.d']);
  isStuck = false;
  await inDirectory(async (directory) => files.makeDirectory(directory));
  assert.deepEqual(await names(), []);
});
