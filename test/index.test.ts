/** The public list of exports: what is in it exists, is documented, and leads from a profile to bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as bootwright from '../src/index.ts';

const INDEX = new URL('../src/index.ts', import.meta.url);

interface Export {
  /** In the file it comes from. */
  readonly name: string;
  readonly file: URL;
}

function exportsOfIndex(): Export[] {
  const lists = readFileSync(INDEX, 'utf8').matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';$/gm);
  return [...lists].flatMap(([, items, specifier]) =>
    items!
      .split(',')
      .map((item) =>
        item
          .trim()
          .replace(/^type /, '')
          .replace(/ as .*$/, ''),
      )
      .filter((name) => name !== '')
      .map((name) => ({ name, file: new URL(specifier!, INDEX) })),
  );
}

test('every export has a documentation comment where it is declared', () => {
  const found = exportsOfIndex();
  assert.ok(found.length > Object.keys(bootwright).length);
  const undocumented = found
    .filter(({ name, file }) => {
      const text = readFileSync(file, 'utf8');
      const declaration = new RegExp(`^export (?:async )?(?:function\\*?|const|interface|type|class) ${name}\\b`, 'm');
      return !text.slice(0, declaration.exec(text)?.index ?? 0).endsWith('*/\n');
    })
    .map(({ name, file }) => `${file.pathname.replace(/^.*\/src\//, '')}: ${name}`);
  assert.deepEqual(undocumented, []);
});

test('what a caller can do wrong is an ImagerError with an exit code', () => {
  assert.throws(
    () => bootwright.resolveProfile({ baseProfileName: 'izo' }),
    (error) =>
      error instanceof bootwright.ImagerError &&
      bootwright.exitCodeOf(error) === 2 &&
      error.hint === 'did you mean iso?',
  );
});
