/** CEL expressions, in the environment the table names. */
import { checkExpression } from '../../cel/check.ts';
import { ENVIRONMENTS } from '../../cel/environments.ts';

/** What is wrong with the expression, if anything. */
export function expressionProblem(text: string, environment: string): string | undefined {
  const problem = checkExpression(text, ENVIRONMENTS[environment]!);
  return problem === undefined ? undefined : `expression: ${problem}`;
}
