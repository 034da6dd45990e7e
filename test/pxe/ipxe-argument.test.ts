// biome-ignore-all lint/suspicious/noTemplateCurlyInString: iPXE's settings look like that
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ImagerError } from '../../src/errors.ts';
import { formatIpxeArguments } from '../../src/pxe/ipxe-argument.ts';
import { runIpxe } from '../support/ipxe.ts';
import { FUZZ_RUNS } from '../support/vectors.ts';

/** What a kernel is told that is started by a script with these arguments. */
function given(cmdline: string): string {
  const { settings, text } = formatIpxeArguments(cmdline);
  const [kernel] = runIpxe(['#!ipxe', ...settings, `kernel vmlinuz${text}`, 'boot', ''].join('\n'));
  return kernel!.slice(2).join(' ');
}

describe('arguments that need no escape are written as they are', () => {
  for (const cmdline of ['', 'a=b', 'a=#b c;d e||f g&&', 'a\\ b', 'price=$5 {x}', 'open=${x closed}', 'q="a b"']) {
    test(cmdline, () => {
      assert.deepEqual(formatIpxeArguments(cmdline), { settings: [], text: cmdline === '' ? '' : ` ${cmdline}` });
      assert.equal(given(cmdline), cmdline);
    });
  }
});

describe('what iPXE would take for its own arrives all the same', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['#comment', ' ${hash:string}comment'],
    ['a ; b', ' a ${semicolon:string} b'],
    ['a || b', ' a ${pipe:string}| b'],
    ['a && b', ' a ${ampersand:string}& b'],
    ['a\\', ' a${backslash:string}'],
    ['#\\', ' ${hash:string}${backslash:string}'],
    ['#${x', ' ${hash:string}${x'],
    ['${x\\', ' ${x${backslash:string}'],
  ];
  for (const [cmdline, text] of cases) {
    test(cmdline, () => {
      assert.equal(formatIpxeArguments(cmdline).text, text);
      assert.equal(given(cmdline), cmdline);
    });
  }
});

test('each setting is made once', () => {
  assert.deepEqual(formatIpxeArguments('#a #b ;').settings, ['set hash:hex 23', 'set semicolon:hex 3b']);
});

describe('what no script can say is refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['a=${b}', /^kernel argument "a=\$\{b\}": want no \$\{\.\.\.\}/],
    ['a ${}', /^kernel argument "\$\{\}": want no/],
    ['a=${{}', /want no \$\{/],
    ['a\tb', /^kernel argument "a\\tb": want no control characters/],
    ['a\nboot', /want no control characters/],
  ];
  for (const [cmdline, message] of cases) {
    test(JSON.stringify(cmdline), () => {
      assert.throws(() => formatIpxeArguments(cmdline), { code: 'invalid-input', message });
    });
  }
});

test('whatever is not refused arrives as it is', () => {
  const piece = fc.constantFrom('#', ';', '|', '||', '&&', '\\', '$', '{', '}', '${', 'a', '"', ':', '=', '-', ' ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const cmdline = pieces
        .join('')
        .split(' ')
        .filter((word) => word !== '')
        .join(' ');
      try {
        assert.equal(given(cmdline), cmdline);
      } catch (error) {
        if (!(error instanceof ImagerError)) throw error;
        assert.match(cmdline, /\$\{\S*\}/);
      }
    }),
    { numRuns: FUZZ_RUNS, seed: 8 },
  );
});
