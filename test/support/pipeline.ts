/** What pipeline tests begin with: a workplace of their own, requests, and imager images small enough for a unit test. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { read } from '../../src/bytes/read.ts';
import { layoutTar } from '../../src/formats/tar/layout-tar.ts';
import { parseAssetSource } from '../../src/pipeline/asset-source.ts';
import type { PlanRequest } from '../../src/pipeline/plan.ts';
import type { Workplace } from '../../src/pipeline/workplace.ts';
import { nodePlatform } from '../../src/platform/node.ts';
import type { Platform } from '../../src/platform/types.ts';
import type { GivenProfile } from '../../src/profiles/profile.ts';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { type Literal, treeOfLiterals } from '../../src/tree/tree.ts';
import { type TestImage, testImage } from './image.ts';
import { type SyntheticArchitecture, syntheticFiles } from './synthetic-assets.ts';

export const VERSION = 'v1.13.0';
export const EPOCH = 1_700_000_000;

const KIB = 1024;

export interface TestWorkplace extends Workplace, AsyncDisposable {
  /** Holds the store; a test may put more into it. */
  readonly directory: string;
}

/** Nothing of the user's environment or credentials is in it. */
export async function testWorkplace(more: Partial<Omit<Workplace, 'platform' | 'store'>> = {}): Promise<TestWorkplace> {
  const directory = await mkdtemp(join(tmpdir(), 'bootwright-pipeline-'));
  const platform = nodePlatform({ HOME: directory });
  return {
    transport: {},
    ...more,
    platform,
    directory,
    store: join(directory, 'store'),
    async [Symbol.asyncDispose]() {
      await platform.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** A machine on which every file, connection or program is a failure of the test. */
export function untouchablePlatform(): Platform {
  const refuse = (name: string): (() => never) => {
    return () => {
      throw new Error(`the platform's ${name} was used`);
    };
  };
  const every = (part: string): never =>
    new Proxy({}, { get: (_, name) => refuse(`${part}.${String(name)}`) }) as never;
  return {
    files: every('files'),
    compression: every('compression'),
    signing: every('signing'),
    hash: refuse('hash'),
    http: refuse('http'),
    run: refuse('run'),
    architecture: 'amd64',
    environment: {},
    homeDirectory: '/nonexistent',
    close: async () => undefined,
  };
}

/** An ISO for arm64 with systemd-boot, which needs no GRUB, unless the profile says otherwise. `assets` as on the command line. */
export function testRequest(
  given: GivenProfile = {},
  more: Partial<Omit<PlanRequest, 'profile' | 'assets'>> & { readonly assets?: string } = {},
): PlanRequest {
  const { assets, ...rest } = more;
  const profile = resolveProfile({ baseProfileName: 'iso', arch: 'arm64', version: VERSION, ...given });
  return {
    profile: finaliseProfile(profile),
    epoch: EPOCH,
    ...(assets === undefined ? {} : { assets: parseAssetSource(assets) }),
    ...rest,
  };
}

/** Files of an imager image by path, without GRUB unless asked for: a kernel of 128 and an initramfs of 64 KiB for each architecture. */
export function assetFiles(grubPlatforms: readonly string[] = []): Record<string, Literal> {
  return syntheticFiles({ kernelSize: 128 * KIB, initramfsSize: 64 * KIB, grubPlatforms });
}

/** An image of one layer with these files. */
export async function assetImage(
  files: Readonly<Record<string, Literal>>,
  architecture: SyntheticArchitecture = 'arm64',
): Promise<TestImage> {
  const data = await read(layoutTar(treeOfLiterals(files)));
  return testImage([{ data }], { os: 'linux', architecture });
}

/** The files below a directory on disk: what `dir:` names. */
export async function writeFiles(directory: string, files: Readonly<Record<string, Literal>>): Promise<void> {
  for (const entry of treeOfLiterals(files).entries) {
    if (entry.kind !== 'file') continue;
    const path = join(directory, entry.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await read(entry.content));
  }
}
