/** The overlay protocol against recorded exchanges with upstream's imager. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImagerError } from '../../src/errors.ts';
import { decodeAnswer, encodeInstall, encodeOptions, eraOfRelease } from '../../src/overlays/protocol.ts';
import { parseOverlayOptions } from '../../src/profiles/parse.ts';
import { vectorLines } from '../support/vectors.ts';

interface Exchange {
  readonly id: string;
  readonly command?: 'get-options' | 'install';
  readonly optionsYAML?: string | null;
  readonly installDisk?: string;
  readonly mountPrefix?: string;
  readonly artifactsPath?: string;
  readonly exchange?: { readonly stdin: string; readonly stdout?: string; readonly exit: number };
  readonly upstream?: {
    readonly options?: {
      readonly name: string;
      readonly kernelArgs: readonly string[] | null;
      readonly offset: number;
    };
    readonly error?: string;
  };
}

const EXCHANGES = vectorLines<Exchange>('overlays/exchanges.jsonl.gz');
const optionsOf = (yaml: string | null | undefined) => (yaml ? parseOverlayOptions(yaml, 'options') : {});

describe('standard input', () => {
  for (const { id, command, optionsYAML, exchange, ...paths } of EXCHANGES) {
    if (command === undefined || exchange === undefined) continue;
    test(id, () => {
      const options = optionsOf(optionsYAML);
      const { installDisk = '', mountPrefix = '', artifactsPath = '' } = paths;
      const encoded =
        command === 'install'
          ? encodeInstall({ installDisk, mountPrefix, artifactsPath }, options)
          : encodeOptions(options);
      assert.equal(encoded, exchange.stdin);
    });
  }

  test('each release quotes in its own way', () => {
    assert.equal(encodeOptions({ b: 'y' }, eraOfRelease(13)), 'b: "y"\n');
    assert.equal(encodeOptions({ b: 'y' }, eraOfRelease(14)), "b: 'y'\n");
    assert.equal(encodeOptions({ b: 'y' }, eraOfRelease(undefined)), "b: 'y'\n");
  });
});

describe('standard output', () => {
  for (const { id, command, exchange, upstream } of EXCHANGES) {
    if (command !== 'get-options' || exchange?.exit !== 0 || exchange.stdout === undefined) continue;
    test(id, () => {
      // Recorded as text: what was not UTF-8 is one character that stands for it.
      const stdout = Buffer.from(
        exchange.stdout!.replace('\ufffd', '\u00ff'),
        id === 'ov-raw-latin1' ? 'latin1' : 'utf8',
      );
      if (upstream?.error !== undefined) {
        assert.throws(() => decodeAnswer(stdout, 'answer'), ImagerError);
        return;
      }
      const { answer } = decodeAnswer(stdout, 'answer');
      const { name, kernelArgs, offset } = upstream!.options!;
      assert.deepEqual([answer.name, answer.kernelArgs], [name, kernelArgs ?? []]);
      assert.equal(Number(answer.offset), offset);
    });
  }

  const decode = (text: string) => decodeAnswer(new TextEncoder().encode(text), 'out');

  test('warns of what upstream drops in silence', () => {
    assert.deepEqual(decode('').warnings, ['out: empty: no kernel arguments, no partition offset']);
    assert.deepEqual(decode('name: x\nkernelargs: [a]\n').warnings, [
      'out:2:1: unknown field "kernelargs" is ignored; did it mean kernelArgs?',
    ]);
    assert.deepEqual(decode('partitionOptions: {ofset: 1}\n').warnings.length, 1);
    assert.deepEqual(decode('name: x\n').warnings, []);
  });

  test('names line and column of what is wrong', () => {
    assert.throws(() => decode('name: x\nkernelArgs: a b\n'), { message: /^out:2:13: kernelArgs: want a list/ });
    assert.throws(() => decode('partitionOptions:\n  offset: -1\n'), {
      message: /^out:2:11: partitionOptions\.offset: "-1": want a number of sectors, 0\.\.18446744073709551615/,
    });
    assert.throws(() => decode('- a\n'), { message: /^out:1:1: want a mapping/ });
  });

  test('keeps the largest offset exactly', () => {
    const { answer } = decode('partitionOptions: {offset: 18446744073709551615}\n');
    assert.equal(answer.offset, 18446744073709551615n);
  });
});
