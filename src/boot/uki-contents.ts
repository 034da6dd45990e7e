/** What is in a UKI, ours or another's. Source: spec boot-and-images 1.5. */
import type { Bytes } from '../bytes/bytes.ts';
import { readText } from '../bytes/read.ts';
import { KIB } from '../bytes/units.ts';
import { invalid } from '../errors.ts';
import { type PeSection, readPe, sectionContent } from '../formats/pe/image.ts';
import { MAIN_PROFILE, type UkiProfile } from './uki-profiles.ts';

export interface UkiContents {
  readonly kernel: Bytes;
  readonly initramfs: Bytes;
  readonly cmdline: string;
  readonly osRelease: string | undefined;
  readonly kernelVersion: string | undefined;
  /** The main one first; a UKI without `.profile` has only that. */
  readonly profiles: readonly UkiProfile[];
  /** All of the table, the stub's too. */
  readonly sections: readonly PeSection[];
}

/** Command lines and os-release texts are far below this. */
const TEXT_LIMIT: number = 64 * KIB;

/**
 * The first section of a name is the main profile's. Throws `invalid-input` when it is no PE32+ file, or kernel, initramfs or command line
 * are missing.
 */
export async function readUki(file: Bytes): Promise<UkiContents> {
  const { sections } = await readPe(file, 'UKI');
  const first = (name: string): PeSection | undefined => sections.find((section) => section.name === name);
  const required = (name: string): PeSection => {
    const section = first(name);
    if (section === undefined) throw invalid(`UKI: no ${name} section`);
    return section;
  };
  const optionalText = async (name: string): Promise<string | undefined> => {
    const section = first(name);
    return section === undefined ? undefined : textOf(section);
  };
  return {
    kernel: sectionContent(required('.linux')),
    initramfs: sectionContent(required('.initrd')),
    cmdline: await textOf(required('.cmdline')),
    osRelease: await optionalText('.osrel'),
    kernelVersion: await optionalText('.uname'),
    profiles: await readProfiles(sections),
    sections,
  };
}

function textOf(section: PeSection): Promise<string> {
  return readText(sectionContent(section), `UKI section ${section.name}`, TEXT_LIMIT);
}

/** A `.profile` section begins a group that lasts to the next one; what comes before the first belongs to all. */
async function readProfiles(sections: readonly PeSection[]): Promise<UkiProfile[]> {
  const starts = sections.flatMap(({ name }, index) => (name === '.profile' ? [index] : []));
  if (starts.length === 0) return [MAIN_PROFILE];
  return Promise.all(
    starts.map(async (start, index) => {
      const group = sections.slice(start, starts[index + 1] ?? sections.length);
      const cmdline = group.find(({ name }) => name === '.cmdline');
      const profile = parseProfile(await textOf(group[0]!));
      return cmdline === undefined ? profile : { ...profile, cmdline: await textOf(cmdline) };
    }),
  );
}

/** os-release syntax with unquoted values, as systemd-stub reads it. */
function parseProfile(text: string): UkiProfile {
  const fields = new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const cut = line.indexOf('=');
      return cut < 0 ? [] : [[line.slice(0, cut), line.slice(cut + 1)]];
    }),
  );
  const title = fields.get('TITLE');
  return { id: fields.get('ID') ?? '', ...(title === undefined ? {} : { title }) };
}
