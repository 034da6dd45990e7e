/** What is said to the installer program of an overlay and what it answers, both YAML. Source: spec profiles-and-inputs 8.5. */
import { errorAt, nearName, problemLine, problemsError, quoted, type SourceText } from '../yaml/diagnostic.ts';
import { decodeYamlText, type MappingNode, readFirstDocument, type YamlNode } from '../yaml/document.ts';
import { emitYaml, type YamlEra } from '../yaml/emit.ts';
import { asInteger, asText, isNull } from '../yaml/scalar.ts';
import { entriesOf, type YamlMapping } from '../yaml/value.ts';

/** The program's only argument. */
export type OverlayCommand = 'get-options' | 'install';

/** What an overlay wants of an image, whichever kind it is. */
export interface OverlayAnswer {
  /** What the overlay calls itself; nothing depends on it. */
  readonly name: string;
  /** They replace by key what the platform has. */
  readonly kernelArgs: readonly string[];
  /** Sectors between the header of the partition table and its entries: room for what the boot ROM loads from there. 0..2^64-1. */
  readonly offset: bigint;
}

export interface DecodedAnswer {
  readonly answer: OverlayAnswer;
  /** One line each. */
  readonly warnings: readonly string[];
}

/** Paths as the program sees them. */
export interface InstallPaths {
  /** The disk: a file of its size, still empty. */
  readonly installDisk: string;
  /** The directory that stands for the root of the file systems: `boot` for BOOT, `boot/EFI` for the EFI partition. */
  readonly mountPrefix: string;
  readonly artifactsPath: string;
}

/** Upstream's encoder has changed how it quotes: each Talos release says the same options in its own words. */
export function eraOfRelease(minor: number | undefined): YamlEra {
  return minor !== undefined && minor < 14 ? 'v4-rc4' : 'v4-rc6';
}

/** Standard input of `get-options`: `{}` and a newline when there are no options. */
export function encodeOptions(options: YamlMapping, era: YamlEra = 'v4-rc6'): string {
  return emitYaml(options, { era, sortKeys: true });
}

/** Standard input of `install`; without options there is no field for them. */
export function encodeInstall(paths: InstallPaths, options: YamlMapping, era: YamlEra = 'v4-rc6'): string {
  const { installDisk, mountPrefix, artifactsPath } = paths;
  const fields = emitYaml({ installDisk, mountPrefix, artifactsPath }, { era });
  return entriesOf(options).length === 0
    ? fields
    : fields + emitYaml({ extraOptions: options }, { era, sortKeys: true });
}

const FIELDS = ['name', 'kernelArgs', 'partitionOptions'];
const LARGEST_OFFSET = 2n ** 64n - 1n;
const NOTHING: OverlayAnswer = { name: '', kernelArgs: [], offset: 0n };

/**
 * Standard output of `get-options`, of which the first document counts. As upstream has it, no output at all and unknown fields are no errors; here they are warnings. Throws
 * `invalid-input` naming line and column of `what` for output that is no such mapping.
 */
export function decodeAnswer(stdout: Uint8Array, what: string): DecodedAnswer {
  const text = decodeYamlText(stdout, what);
  const { source, document, problems } = readFirstDocument(text, { file: what });
  if (problems.length > 0) throw problemsError(source, problems);
  if (document === undefined || isNull(document)) {
    return { answer: NOTHING, warnings: [`${what}: empty: no kernel arguments, no partition offset`] };
  }
  if (document.kind !== 'mapping') throw errorAt(source, { position: document.position, message: `want a mapping` });
  const reading = { source, warnings: [] as string[] };
  const fields = knownFields(reading, document, FIELDS);
  const answer = {
    name: textOf(reading, fields.get('name'), 'name') ?? '',
    kernelArgs: argumentsOf(reading, fields.get('kernelArgs')),
    offset: offsetOf(reading, fields.get('partitionOptions')),
  };
  return { answer, warnings: reading.warnings };
}

interface Reading {
  readonly source: SourceText;
  readonly warnings: string[];
}

function knownFields(reading: Reading, { entries }: MappingNode, names: readonly string[]): Map<string, YamlNode> {
  const fields = new Map<string, YamlNode>();
  for (const { key, value } of entries) {
    if (names.includes(key.text)) {
      if (!isNull(value)) fields.set(key.text, value);
      continue;
    }
    const near = nearName(key.text, names);
    const message = `unknown field ${quoted(key.text)} is ignored${near === undefined ? '' : `; did it mean ${near}?`}`;
    reading.warnings.push(problemLine(reading.source, { severity: 'warning', position: key.position, message }));
  }
  return fields;
}

function textOf({ source }: Reading, node: YamlNode | undefined, path: string): string | undefined {
  if (node === undefined) return undefined;
  const text = asText(node);
  if (text === undefined) throw errorAt(source, { position: node.position, path, message: 'want a text' });
  return text;
}

/** A null in the list is no argument. */
function argumentsOf(reading: Reading, node: YamlNode | undefined): string[] {
  if (node === undefined) return [];
  if (node.kind !== 'sequence') {
    throw errorAt(reading.source, { position: node.position, path: 'kernelArgs', message: 'want a list of texts' });
  }
  return node.items
    .filter((item) => !isNull(item))
    .map((item, index) => textOf(reading, item, `kernelArgs[${index}]`)!);
}

function offsetOf(reading: Reading, options: YamlNode | undefined): bigint {
  if (options === undefined) return 0n;
  const { source } = reading;
  if (options.kind !== 'mapping') {
    throw errorAt(source, { position: options.position, path: 'partitionOptions', message: 'want a mapping' });
  }
  const node = knownFields(reading, options, ['offset']).get('offset');
  if (node === undefined) return 0n;
  const value = asInteger(node);
  if (value === undefined || value < 0n || value > LARGEST_OFFSET) {
    const shown = node.kind === 'scalar' ? `${quoted(node.text)}: ` : '';
    throw errorAt(source, {
      position: node.position,
      path: 'partitionOptions.offset',
      message: `${shown}want a number of sectors, 0..${LARGEST_OFFSET}`,
    });
  }
  return value;
}
