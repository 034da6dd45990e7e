/** PCR signatures of a UKI's profiles: made before the UKI is laid out, since they are sections of it. Source: spec boot-and-images 2.2. */
import type { Bytes } from '../bytes/bytes.ts';
import type { ChunkOptions } from '../bytes/read.ts';
import { decodePe, sectionContent } from '../formats/pe/image.ts';
import { MEASURED_SECTIONS, measureContent, pcrSignature, publicKeyPem, type SectionDigests } from './pcr-signature.ts';
import type { Hasher, SigningKey } from './signer.ts';
import { type PcrSections, type UkiParts, ukiSections } from './uki.ts';

/** For the main profile and each extra one, in order. Kernel and initramfs are read once. Throws what reading and the key throw. */
export async function pcrSectionsOf(
  hasher: Hasher,
  parts: UkiParts,
  key: SigningKey,
  options: Pick<ChunkOptions, 'signal'> = {},
): Promise<PcrSections> {
  const publicKey = publicKeyPem(key.publicKey);
  const profiles = await measuredProfiles(hasher, { ...parts, pcr: { publicKey, signatures: [] } }, options);
  const signatures: string[] = [];
  for (const sections of profiles) signatures.push(await pcrSignature(hasher, sections, key));
  return { publicKey, signatures };
}

/** What is measured when each profile is chosen: the base, with the sections of the profile in place of its own. */
async function measuredProfiles(
  hasher: Hasher,
  parts: UkiParts,
  options: Pick<ChunkOptions, 'signal'>,
): Promise<ReadonlyMap<string, SectionDigests>[]> {
  const base = new Map<string, SectionDigests>();
  const add = async (to: Map<string, SectionDigests>, name: string, content: Bytes): Promise<void> => {
    if (MEASURED_SECTIONS.includes(name)) to.set(name, await measureContent(hasher, content, options));
  };
  for (const section of decodePe(parts.stub, 'UEFI stub').sections) {
    // Of a stub that has a section twice the first counts.
    if (!base.has(section.name)) await add(base, section.name, sectionContent(section));
  }
  const groups: Map<string, SectionDigests>[] = [base];
  let group = base;
  for (const { name, content } of ukiSections(parts)) {
    if (name === '.profile' && base.has('.profile')) {
      group = new Map(base);
      groups.push(group);
    }
    await add(group, name, content);
  }
  return groups;
}
