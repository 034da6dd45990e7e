/** CEL expressions. */
export function expressionProblem(_text: string, _environment: string): string | undefined {
  return undefined;
}
