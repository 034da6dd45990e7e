/** `WWW-Authenticate` headers: what a registry wants to be shown. Source: RFC 9110 11.6.1, spec factory-and-signatures H3. */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Lower-case names; of a repeated name the last value. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Longest header looked at; real ones have some hundred characters. */
const LONGEST = 8192;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;

/**
 * All challenges of all headers, in order. Headers come from anybody, so nothing is an error here: what cannot be read
 * is left out, up to the next comma.
 */
export function parseChallenges(headers: readonly string[]): Challenge[] {
  return headers.flatMap((header) => parseHeader(header.slice(0, LONGEST)));
}

/** The first challenge we can answer: Bearer or Basic. Digest, Negotiate and the like never get a password from us. */
export function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find(({ scheme }) => scheme === 'bearer' || scheme === 'basic');
}

function parseHeader(header: string): Challenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Record<string, string> }[] = [];
  let at = 0;
  const skip = (pattern: RegExp): void => {
    pattern.lastIndex = at;
    if (pattern.test(header)) at = pattern.lastIndex;
  };
  const token = (): string | undefined => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(header)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  while (at < header.length) {
    skip(/[\s,]+/y);
    const word = token();
    skip(/[ \t]+/y);
    if (word !== undefined && header[at] === '=') {
      at++;
      skip(/[ \t]+/y);
      const value = header[at] === '"' ? quoted(header, at) : undefined;
      const text = value === undefined ? token() : value.text;
      at = value?.end ?? at;
      const parameters = challenges.at(-1)?.parameters;
      if (parameters !== undefined && text !== undefined) define(parameters, word.toLowerCase(), text);
      skip(/[^,]+/y);
    } else if (word !== undefined) {
      challenges.push({ scheme: word.toLowerCase(), parameters: {} });
      if (!startsParameter(header, at)) skip(/[^,]+/y);
    } else {
      skip(/[^,]+/y);
    }
  }
  return challenges;
}

/** Whether `name =` stands here, and not a token68 (`Negotiate abc==`), which no scheme of ours uses. */
function startsParameter(header: string, at: number): boolean {
  const pattern = /[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=(?!=)/y;
  pattern.lastIndex = at;
  return pattern.test(header);
}

/** A quoted string from its opening quote; one without an end has no value and takes the rest of the header. */
function quoted(header: string, start: number): { readonly text: string | undefined; readonly end: number } {
  let text = '';
  for (let at = start + 1; at < header.length; at++) {
    const one = header[at]!;
    if (one === '"') return { text, end: at + 1 };
    text += one === '\\' && at + 1 < header.length ? header[++at]! : one;
  }
  return { text: undefined, end: header.length };
}

/** Not an assignment: a parameter may be called `__proto__`. */
function define(parameters: Record<string, string>, name: string, value: string): void {
  Object.defineProperty(parameters, name, { value, enumerable: true, configurable: true, writable: true });
}
