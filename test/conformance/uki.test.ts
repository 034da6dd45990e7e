/** GNU binutils judge our UKIs: objdump reads the section table, objcopy takes contents out and builds the same image its own way. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SHARING_ALIGNMENT } from '../../src/boot/esp.ts';
import { formatOsRelease } from '../../src/boot/os-release.ts';
import { buildUki, type UkiParts, ukiSections } from '../../src/boot/uki.ts';
import { readUki } from '../../src/boot/uki-contents.ts';
import { extraUkiProfiles } from '../../src/boot/uki-profiles.ts';
import { ofMemory } from '../../src/bytes/bytes.ts';
import { read } from '../../src/bytes/read.ts';
import { decodePe } from '../../src/formats/pe/image.ts';
import type { UkiLayout } from '../../src/formats/pe/uki.ts';
import { traitsOf } from '../../src/profiles/traits.ts';
import { run, skipWithout } from '../support/tools.ts';
import { syntheticInput } from '../support/uki-inputs.ts';

const skip = skipWithout('objdump', 'objcopy');

/** Debian package systemd-boot-efi; 252 still has COFF symbols, later ones do not. `SYSTEMD_STUB` names another file. */
const INSTALLED_STUB = process.env.SYSTEMD_STUB ?? '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

const directory = mkdtempSync(join(tmpdir(), 'bootwright-uki-'));
after(() => rmSync(directory, { recursive: true }));

function skipWithoutStub(): string | false {
  if (existsSync(INSTALLED_STUB)) return skip;
  const reason = `needs ${INSTALLED_STUB} (Debian package systemd-boot-efi)`;
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: install it, tests are not skipped in CI`);
  return reason;
}

function partsWith(stub: Uint8Array): UkiParts {
  const cmdline = 'talos.platform=metal console=tty0';
  return {
    stub,
    architecture: 'amd64',
    osRelease: formatOsRelease({ name: 'Täg OS', version: 'v1.13.0' }),
    cmdline,
    kernelVersion: '6.18.44-synthetic',
    kernel: ofMemory(syntheticInput('kernel-a')),
    initramfs: ofMemory(syntheticInput('initramfs-a')),
    extraProfiles: extraUkiProfiles('iso', cmdline),
    traits: traitsOf('v1.13.0'),
  };
}

interface Listed {
  readonly name: string;
  readonly size: number;
  readonly address: bigint;
  readonly offset: number;
}

/** `Idx Name Size VMA LMA File-off Algn`; objdump makes repeated names unlike each other only in its own memory, so they appear as they are. */
function listSections(path: string): Listed[] {
  const rows = run('objdump', '-h', path).matchAll(
    /^\s*\d+ (\S+)\s+([0-9a-f]{8}) {2}([0-9a-f]{16}) {2}[0-9a-f]{16} {2}([0-9a-f]{8})/gm,
  );
  return [...rows].map(([, name, size, address, offset]) => ({
    name: name!,
    size: Number.parseInt(size!, 16),
    address: BigInt(`0x${address}`),
    offset: Number.parseInt(offset!, 16),
  }));
}

async function written(name: string, layout: UkiLayout): Promise<string> {
  const path = join(directory, name);
  writeFileSync(path, await read(layout.bytes));
  return path;
}

async function judge(name: string, stub: Uint8Array): Promise<void> {
  const { imageBase } = decodePe(stub, 'stub').optional;
  for (const sharingAlignment of [undefined, SHARING_ALIGNMENT]) {
    const options = { timestamp: 1, ...(sharingAlignment === undefined ? {} : { sharingAlignment }) };
    const layout = buildUki(partsWith(stub), options);
    const path = await written(`${name}-${sharingAlignment ?? 0}.efi`, layout);
    assert.deepEqual(
      listSections(path),
      layout.sections.map(({ name, size, virtualAddress, offset }) => ({
        name,
        size,
        address: imageBase + BigInt(virtualAddress),
        offset,
      })),
    );
    const [linux, initrd] = ['linux', 'initrd'].map((one) => join(directory, one)) as [string, string];
    run(
      'objcopy',
      '--dump-section',
      `.linux=${linux}`,
      '--dump-section',
      `.initrd=${initrd}`,
      path,
      join(directory, 'copy'),
    );
    assert.ok(readFileSync(linux).equals(syntheticInput('kernel-a')));
    assert.ok(readFileSync(initrd).equals(syntheticInput('initramfs-a')));
  }
}

test('objdump and objcopy read our images, with and without sharing', { skip }, async () => {
  for (const stub of ['stub-a.efi', 'stub-align512.efi', 'stub-bss.efi']) await judge(stub, syntheticInput(stub));
});

test('the same with the systemd stub that is installed here', { skip: skipWithoutStub() }, async () => {
  await judge('installed', readFileSync(INSTALLED_STUB));
});

test('objcopy gives sections the same places and sizes, and our reader reads its image', { skip }, async () => {
  const stub = syntheticInput('stub-a.efi');
  const { imageBase } = decodePe(stub, 'stub').optional;
  // objcopy cannot add two sections of one name.
  const { extraProfiles, ...parts } = partsWith(stub);
  assert.ok(extraProfiles);
  const ours = buildUki(parts, { timestamp: 1 });
  const input = join(directory, 'stub');
  writeFileSync(input, stub);
  const args: string[] = [];
  for (const { name, content } of ukiSections(parts)) {
    const file = join(directory, `section${name}`);
    writeFileSync(file, await read(content));
    const { virtualAddress } = ours.sections.find((section) => section.name === name)!;
    const address = `0x${(imageBase + BigInt(virtualAddress)).toString(16)}`;
    args.push('--add-section', `${name}=${file}`, '--set-section-flags', `${name}=data,readonly`);
    args.push('--change-section-vma', `${name}=${address}`);
  }
  const theirs = join(directory, 'theirs.efi');
  run('objcopy', ...args, input, theirs);
  assert.deepEqual(listSections(theirs), listSections(await written('ours.efi', ours)));
  const data = readFileSync(theirs);
  const [a, b] = [decodePe(data, 'theirs'), decodePe(await read(ours.bytes), 'ours')];
  assert.equal(a.optional.sizeOfImage, b.optional.sizeOfImage);
  assert.equal(a.optional.sizeOfHeaders, b.optional.sizeOfHeaders);
  const contents = await readUki(ofMemory(data));
  assert.equal(contents.cmdline, parts.cmdline);
  assert.equal(contents.osRelease, parts.osRelease);
});
