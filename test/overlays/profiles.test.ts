/** The profiles an overlay brings: read leniently, wrong ones told where they are wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlayProfiles } from '../../src/overlays/profiles.ts';
import { overlayTree } from '../support/overlay.ts';
import { vectorLines } from '../support/vectors.ts';

const BROKEN = 'arch: arm64\noutput:\n  kind: floppy\n';
const overlay = (files: Readonly<Record<string, string>>) => ({ tree: overlayTree(files), image: 'board:v1' });

test('the Raspberry Pi’s, by the names of their files', async () => {
  const facts = vectorLines<{ path: string; facts: object }>('overlays/raspberrypi-profiles.jsonl.gz');
  const files = Object.fromEntries(facts.map((one) => [one.path, JSON.stringify(one.facts)]));
  const { profiles, warnings } = await overlayProfiles(overlay({ ...files, 'profiles/README.md': '#' }), 'rpi_5');
  assert.deepEqual([...profiles.keys()].sort(), ['revpi_generic', 'rpi_5', 'rpi_generic']);
  const { arch, output } = profiles.get('rpi_5')!;
  assert.equal(arch, 'arm64');
  assert.deepEqual(
    [output?.kind, output?.outFormat, output?.imageOptions?.diskSize, output?.imageOptions?.bootloader],
    ['image', '.xz', 1306525696, 'grub'],
  );
  assert.deepEqual(warnings, []);
});

test('a wrong one is an error where it is wanted, else a warning', async () => {
  const image = overlay({ 'profiles/bad.yaml': BROKEN, 'profiles/good.yaml': 'arch: arm64\nfuture: field\n' });
  await assert.rejects(overlayProfiles(image, 'bad'), {
    code: 'invalid-input',
    message: /^overlay image board:v1: profiles\/bad\.yaml:3:9: output\.kind: /,
  });
  const { profiles, warnings } = await overlayProfiles(image, 'good');
  assert.deepEqual([...profiles.keys()], ['good']);
  assert.match(warnings.join('\n'), /^overlay image board:v1: profiles\/bad\.yaml:3:9: output\.kind: /);
});
