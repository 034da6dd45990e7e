/** `imager config`: what a node would refuse of a machine configuration, and a schema that tells editors. */

import { exitCodeOf, ImagerError, invalid } from '../errors.ts';
import { type CheckedConfig, checkMachineConfig, minorOfVersion } from '../machineconfig/documents/check.ts';
import { machineConfigSchema } from '../machineconfig/documents/json-schema.ts';
import { type Problem, renderProblem } from '../yaml/diagnostic.ts';
import type { ConfigFlags, ConfigInvocation } from './config-flags.ts';
import type { Io } from './io.ts';
import { readAll } from './text-input.ts';

/** As the reader of the text has it, in bytes. */
const FILE_LIMIT = 4 * 1024 * 1024;

export async function runConfig(invocation: ConfigInvocation, io: Io): Promise<number> {
  if (invocation.command === 'config validate') return validate(invocation.files, invocation.flags, io);
  const schema = machineConfigSchema(minorOfVersion(invocation.flags.talosVersion));
  io.stdout.write(`${JSON.stringify(schema, null, 2)}\n`);
  return 0;
}

async function validate(files: readonly string[], flags: ConfigFlags, io: Io): Promise<number> {
  if (files.filter((file) => file === '-').length > 1)
    throw new ImagerError('usage', 'config validate: want - only once');
  const results: CheckedConfig[] = [];
  for (const file of files) {
    const name = file === '-' ? 'standard input' : file;
    const bytes =
      file === '-' ? await readAll(io.stdin, FILE_LIMIT, name) : await io.platform.files.read(file, FILE_LIMIT);
    results.push(checkMachineConfig(bytes, name, flags));
  }
  if (flags.json === true) io.stdout.write(`${JSON.stringify(results.map(jsonOf), null, 2)}\n`);
  else for (const result of results) say(result, flags, io);
  return results.every(isValid) ? 0 : exitCodeOf(invalid(''));
}

function isValid({ problems }: CheckedConfig): boolean {
  return problems.every(({ severity }) => severity === 'warning');
}

function say(result: CheckedConfig, { mode = 'metal' }: ConfigFlags, io: Io): void {
  for (const problem of result.problems) {
    const hint = problem.hint === undefined ? '' : `\n      hint: ${problem.hint}`;
    io.stderr.write(`${problem.severity}: ${renderProblem(result.source, problem)}${hint}\n`);
  }
  const { file } = result.source;
  if (!isValid(result)) {
    io.stderr.write(`${file}: ${countOf(result.problems)}: a node would refuse this\n`);
    return;
  }
  const what = result.completeForBoot ? 'complete' : 'partial';
  io.stdout.write(`${file}: ${what} configuration, valid for ${mode}\n`);
}

function countOf(problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return `${errors} error${errors === 1 ? '' : 's'}`;
}

function jsonOf(result: CheckedConfig): object {
  const { source, problems, documents, completeForBoot } = result;
  return {
    file: source.file,
    valid: isValid(result),
    completeForBoot,
    documents: documents.map(({ kind, name, object }) => ({
      kind: kind === '' ? 'v1alpha1' : kind,
      ...(name === '' ? {} : { name }),
      line: object.node.position.line,
    })),
    problems: problems.map(({ severity, position, path, message, hint }) => ({
      severity,
      ...position,
      ...(path === undefined ? {} : { path }),
      message,
      ...(hint === undefined ? {} : { hint }),
    })),
  };
}
