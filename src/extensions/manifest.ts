/** `manifest.yaml` of a system extension (spec profiles-and-inputs 7.1; upstream pkg/machinery/extensions). */
import { invalid } from '../errors.ts';
import { canonicalObject, decodeObject } from '../machineconfig/decode.ts';
import { type FieldType, type ObjectType, object } from '../machineconfig/field-types.ts';
import { type Problem, problemLine, problemsError } from '../yaml/diagnostic.ts';
import { readFirstDocument } from '../yaml/document.ts';
import { isNull } from '../yaml/scalar.ts';
import { parseConstraint } from './constraint.ts';

export interface ExtensionMetadata {
  readonly name: string;
  readonly version: string;
  readonly author: string;
  readonly description: string;
  /** A range of Talos versions as written; empty: any. */
  readonly constraint: string;
  readonly extraInfo: string;
}

export interface ParsedManifest {
  readonly metadata: ExtensionMetadata;
  /** One line each: keys that nobody reads. */
  readonly warnings: readonly string[];
}

const MANIFEST_VERSION = 'v1alpha1';

const TEXT = { kind: 'string' } as const satisfies FieldType;

const MANIFEST: ObjectType = object({
  version: TEXT,
  metadata: object({
    name: TEXT,
    version: TEXT,
    author: TEXT,
    description: TEXT,
    compatibility: object({ talos: object({ version: TEXT }) }),
    extraInfo: TEXT,
  }),
});

/** Throws `invalid-input` with all mistakes, each with line and column; `file` is what messages call the text. */
export function parseManifest(text: string, file: string): ParsedManifest {
  const { source, document, problems: broken } = readFirstDocument(text, { file });
  if (broken.length > 0) throw problemsError(source, broken);
  if (document === undefined) throw invalid(`${file}: empty, want an extension manifest`);
  const problems: Problem[] = [];
  const empty = { ...document, kind: 'mapping', entries: [] } as const;
  const root = isNull(document) ? empty : document;
  const located = decodeObject(root, MANIFEST, { foreignNames: {}, unknownKeys: 'warning' }, problems);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw problemsError(source, errors);
  const manifest = canonicalObject(located, MANIFEST) as Written;
  const { version = '', metadata = {} } = manifest;
  if (version !== MANIFEST_VERSION) {
    throw invalid(`${file}: manifest version ${JSON.stringify(version)}, want ${JSON.stringify(MANIFEST_VERSION)}`);
  }
  const { name = '', author = '', description = '', extraInfo = '', compatibility } = metadata;
  const constraint = compatibility?.talos?.version ?? '';
  return {
    metadata: { name, version: metadata.version ?? '', author, description, constraint, extraInfo },
    warnings: problems.map((problem) => problemLine(source, problem)),
  };
}

/** What `MANIFEST` describes; empty fields are left out. */
interface Written {
  readonly version?: string;
  readonly metadata?: Partial<Omit<ExtensionMetadata, 'constraint'>> & {
    readonly compatibility?: { readonly talos?: { readonly version?: string } };
  };
}

/** Throws `invalid-input` for a range that cannot be read. */
export function isCompatible(
  { constraint }: ExtensionMetadata,
  version: Parameters<ReturnType<typeof parseConstraint>>[0],
): boolean {
  return parseConstraint(constraint)(version);
}
