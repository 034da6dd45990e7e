/** The kernel command line as the node splits it: at white space only, quotes mean nothing (spec machine-config 6). */

export interface KernelArgument {
  /** Unique in a list; may be empty (`=x`). */
  readonly key: string;
  /** In order; `''` for an argument without `=` or with nothing after it. */
  readonly values: readonly string[];
}

/** What Go's `unicode.IsSpace` takes for white space; `\s` differs in U+0085 and U+FEFF. */
const WHITE_SPACE = /[\t-\r\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** The words of a command line. */
export function splitWords(text: string): readonly string[] {
  return text.split(WHITE_SPACE).filter((word) => word !== '');
}

/** One entry per key, at the place where the key comes first. */
export function parseCommandLine(text: string): readonly KernelArgument[] {
  const byKey = new Map<string, string[]>();
  for (const word of splitWords(text)) {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? '' : word.slice(equals + 1);
    const values = byKey.get(key);
    if (values === undefined) byKey.set(key, [value]);
    else values.push(value);
  }
  return [...byKey].map(([key, values]) => ({ key, values }));
}

/** All values of a key, none when it is absent. */
export function valuesOf(args: readonly KernelArgument[], key: string): readonly string[] {
  return args.filter((argument) => argument.key === key).flatMap(({ values }) => values);
}

/** What most readers of the node look at. */
export function firstValue(args: readonly KernelArgument[], key: string): string | undefined {
  return valuesOf(args, key)[0];
}

/** Go's `strconv.Atoi`: decimal with an optional sign, 64 bits. */
export function parseDecimal(text: string): bigint | undefined {
  if (!/^[-+]?[0-9]{1,30}$/.test(text)) return undefined;
  const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace(/^\+/, ''));
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : undefined;
}
