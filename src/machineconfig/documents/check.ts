/**
 * Whether a node would take a machine configuration: every problem of loading and of validation, as values.
 * Source: spec machine-config 1 to 3.
 */
import { invalid } from '../../errors.ts';
import { byPosition, type Problem, quoted, type SourceText } from '../../yaml/diagnostic.ts';
import { decodeYamlText } from '../../yaml/document.ts';
import { type ConfigDocument, type LoadedConfig, loadDocuments } from './load.ts';
import { documentRules } from './rules.ts';
import { streamRules } from './stream-rules.ts';

/** How the node runs: a container needs DNS of the host, bare metal something to install on. */
export type ConfigMode = 'metal' | 'cloud' | 'container';

/** What is known about the node. */
export interface CheckOptions {
  /** The Talos that will read it, `1.14` or `v1.13.2`; the newest known unless told. */
  readonly talosVersion?: string;
  /** `metal` unless told. */
  readonly mode?: ConfigMode;
  /** Without a root document the node applies the rest and asks its next source; a warning says so unless this is set. */
  readonly partial?: boolean;
  /** Image tags of Kubernetes are not checked. */
  readonly local?: boolean;
  /** Warnings of the root document are errors. */
  readonly strict?: boolean;
}

/** A machine configuration as far as it could be read, with everything wrong or doubtful about it. */
export interface CheckedConfig {
  readonly source: SourceText;
  /** In the order of the text. */
  readonly problems: readonly Problem[];
  readonly documents: readonly ConfigDocument[];
  /** The loader takes it; what else is wrong is found by validation. */
  readonly loads: boolean;
  /** A root document is there: the node asks no other source. */
  readonly completeForBoot: boolean;
}

export const NEWEST_MINOR = 14;

/**
 * Checks `input` (text, or bytes as they lie in the file); never throws for what it says, only `invalid-input` for bytes that
 * are no text and a Talos version that is none.
 */
export function checkMachineConfig(
  input: string | Uint8Array,
  file: string,
  options: CheckOptions = {},
): CheckedConfig {
  const text = typeof input === 'string' ? input : decodeYamlText(input, file);
  const loaded = loadDocuments(text, file, minorOfVersion(options.talosVersion));
  const { source, documents, problems } = loaded;
  return {
    source,
    problems: [...problems, ...validateDocuments(loaded, options)].sort(byPosition),
    documents,
    loads: problems.length === 0,
    completeForBoot: isComplete(documents),
  };
}

/** What validation finds in documents that were loaded for the same Talos version. */
export function validateDocuments({ documents, problems }: LoadedConfig, options: CheckOptions): readonly Problem[] {
  const { mode = 'metal', local = false, strict = false, partial = false } = options;
  const context = { minor: minorOfVersion(options.talosVersion), mode, local, strict };
  const found = documents.flatMap((document) => documentRules(document, context));
  // What could not be read would be missed by the others.
  if (problems.length > 0) return found;
  return [...found, ...streamRules(documents, context), ...(isComplete(documents) || partial ? [] : [INCOMPLETE])];
}

function isComplete(documents: readonly ConfigDocument[]): boolean {
  return documents.some(({ kind }) => kind === '');
}

const INCOMPLETE: Problem = {
  severity: 'warning',
  position: { line: 1, column: 1 },
  message: 'no root document (machine, cluster): the node would apply this and ask its next source',
  hint: 'partial configurations are fine in an image',
};

/** The minor of `1.14`, `v1.14.0-rc.1`; the newest known without a version. Throws `invalid-input`. */
export function minorOfVersion(version: string | undefined): number {
  if (version === undefined) return NEWEST_MINOR;
  const minor = /^v?1\.([0-9]{1,3})(?:[.-].*)?$/.exec(version)?.[1];
  if (minor === undefined) throw invalid(`Talos version ${quoted(version)}: want one like 1.${NEWEST_MINOR}`);
  return Number(minor);
}
