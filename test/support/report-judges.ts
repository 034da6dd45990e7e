/** Public validators of what reports are written as, each giving what it objects to; nothing for what is right. */
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { vectorFile } from './vectors.ts';

const options = { allErrors: true, strict: false } as const;
const ajv = new Ajv(options);
const ajv2020 = new Ajv2020(options);
addFormats.default(ajv);
addFormats.default(ajv2020);

const spdx = ajv.compile(schema('spdx-2.3'));
const slsa = ajv2020.compile(schema('slsa-provenance-v1'));
const cycloneDx = new Validation.JsonStrictValidator(Spec.Version.v1dot6);

function schema(name: string): object {
  return JSON.parse(vectorFile(`report/${name}.schema.json`).toString()) as object;
}

function objections(validate: ValidateFunction, text: string): string[] {
  validate(JSON.parse(text));
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

interface Spdx {
  readonly SPDXID: string;
  readonly packages: readonly { readonly SPDXID: string }[];
  readonly files?: readonly { readonly SPDXID: string }[];
  readonly relationships: readonly { readonly spdxElementId: string; readonly relatedSpdxElement: string }[];
}

/** By the schema, and what it cannot say: identifiers are unique, and relationships are between things that are there. */
export function spdxObjections(text: string): string[] {
  const found = objections(spdx, text);
  if (found.length > 0) return found;
  const { SPDXID, packages, files = [], relationships } = JSON.parse(text) as Spdx;
  const all = [SPDXID, ...packages.map((one) => one.SPDXID), ...files.map((one) => one.SPDXID)];
  const known = new Set(all);
  const dangling = relationships
    .flatMap(({ spdxElementId, relatedSpdxElement }) => [spdxElementId, relatedSpdxElement])
    .filter((id) => !known.has(id) && !/^(?:DocumentRef-|NONE$|NOASSERTION$)/.test(id));
  return [
    ...dangling.map((id) => `${id} is nowhere`),
    ...(known.size < all.length ? ['identifiers are there twice'] : []),
  ];
}

export function slsaObjections(text: string): string[] {
  return objections(slsa, text);
}

/** Formats and what may not be there included; references have to lead somewhere. */
export async function cycloneDxObjections(text: string): Promise<string[]> {
  const problem = await cycloneDx.validate(text);
  if (problem !== null) return [JSON.stringify(problem)];
  const { metadata, components, dependencies, compositions = [] } = JSON.parse(text) as CycloneDx;
  const refs = [metadata.component, ...metadata.component.components, ...components].map((one) => one['bom-ref']);
  const used = [
    ...dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]),
    ...compositions.flatMap(({ assemblies }) => assemblies),
  ];
  const known = new Set(refs);
  return [
    ...used.filter((ref) => !known.has(ref)).map((ref) => `${ref} is nowhere`),
    ...(known.size < refs.length ? ['references are there twice'] : []),
  ];
}

interface Component {
  readonly 'bom-ref': string;
}

interface CycloneDx {
  readonly metadata: { readonly component: Component & { readonly components: readonly Component[] } };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly compositions?: readonly { readonly assemblies: readonly string[] }[];
}
