/** What must not get into a report that many people read: credentials in kernel arguments, URLs and names that say they hold one. */
import { shown } from '../machineconfig/kernel-arguments.ts';
import type { Profile } from '../profiles/profile.ts';
import { digestOfText, type JsonValue } from './json.ts';

/** In place of what was there; never a digest: passwords are short enough to be guessed by one. */
const REDACTED = '***';

const SECRET_NAME = /secret|token|passw|passphrase|credential|api-?_?key|psk|private|(?:^|[._-])key$/i;

/** Whole documents in one argument: META values and machine configurations. They are long, so their digests tell nothing but whether they are the same. */
const DOCUMENTS: readonly string[] = ['talos.config.inline', 'talos.config.early', 'INSTALLER_META_BASE64'];

/** The command line, argument by argument; white space stays as it is. */
export function redactArguments(text: string): string {
  return text.replace(/\S+/g, redactArgument);
}

function redactArgument(argument: string): string {
  const [, name, value] = /^(-?[^=]+)=(.*)$/s.exec(argument) ?? [];
  if (name === undefined || value === undefined) return redactUrls(argument);
  const key = name.replace(/^-/, '');
  return `${name}=${key === 'talos.environment' ? redactVariable(value) : redactValue(key, value)}`;
}

/** Of environment variables only those are shown whose meaning is known. */
function redactVariable(variable: string): string {
  const [, name, value] = /^(\w+)=(.*)$/s.exec(variable) ?? [];
  if (name === undefined || value === undefined) return REDACTED;
  if (DOCUMENTS.includes(name)) return `${name}=${digestOfText(value)}`;
  return `${name}=${/^(?:https?|no)_proxy$/i.test(name) ? redactUrls(value) : REDACTED}`;
}

function redactValue(key: string, value: string): string {
  if (value === '') return '';
  if (DOCUMENTS.includes(key)) return digestOfText(value);
  if (SECRET_NAME.test(key)) return REDACTED;
  // The path of a configuration may be all that keeps it secret; where it comes from is worth knowing.
  if (shown(key, value) === key) return /^[a-z][a-z0-9+.-]{0,30}:\/\//i.test(value) ? redactUrl(value, true) : REDACTED;
  return redactUrls(value);
}

/**
 * URLs without user names, passwords and what their queries say: join tokens, signatures of downloads. A variable that the node fills in
 * (`?uuid=${uuid}`) stays.
 */
export function redactUrls(text: string): string {
  return text.replace(/[a-z][a-z0-9+.-]{0,30}:\/\/[^\s"'<>]*/gi, (url) => redactUrl(url, false));
}

function redactUrl(url: string, hidesPath: boolean): string {
  const [, head = '', query, fragment = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url) ?? [];
  const [, scheme = '', authority = '', path = ''] = /^([^/]*:\/\/)([^/]*)(.*)$/s.exec(head) ?? [];
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  const user = host === authority ? '' : `${REDACTED}@`;
  const place = hidesPath && path.length > 1 ? `/${REDACTED}` : path;
  const asked = query === undefined ? '' : `?${redactQuery(query)}`;
  return `${scheme}${user}${host}${place}${asked}${fragment === '' ? '' : `#${REDACTED}`}`;
}

function redactQuery(query: string): string {
  return query
    .split('&')
    .map((part) => {
      const cut = part.indexOf('=');
      if (cut < 0) return /^\$\{\w+\}$/.test(part) || part === '' ? part : REDACTED;
      const value = part.slice(cut + 1);
      return /^(?:\$\{\w+\})?$/.test(value) ? part : `${part.slice(0, cut)}=${REDACTED}`;
    })
    .join('&');
}

/**
 * The profile as parameters: META values, embedded machine configuration and overlay options by digest alone, arguments and addresses without
 * credentials.
 */
export function redactProfile(profile: Profile): { readonly [name: string]: JsonValue } {
  const { customization, overlay, ...rest } = profile;
  const { extraKernelArgs, metaContents, embeddedMachineConfiguration } = customization;
  return {
    ...(redactValues(rest) as { readonly [name: string]: JsonValue }),
    customization: {
      extraKernelArgs: extraKernelArgs.map(redactArguments),
      metaContents: metaContents.map(({ key, value }) => ({ key, digest: digestOfText(value) })),
      ...(embeddedMachineConfiguration === ''
        ? {}
        : { embeddedMachineConfiguration: { digest: digestOfText(embeddedMachineConfiguration) } }),
    },
    overlay: overlay === null ? null : redactOverlay(overlay),
  };
}

function redactOverlay({ name, image, options }: NonNullable<Profile['overlay']>): JsonValue {
  const digests = Object.entries(options).map(([key, value]) => [key, { digest: digestOfText(JSON.stringify(value)) }]);
  return { name, image: redactValues(image), options: Object.fromEntries(digests) };
}

function redactValues(value: unknown): JsonValue {
  if (typeof value === 'string') return redactUrls(value);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) return null;
  if (Array.isArray(value)) return value.map(redactValues);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, redactValues(part)]));
}
