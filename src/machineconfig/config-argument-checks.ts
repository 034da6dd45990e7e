/** What `talos.config*` and `siderolink.api` say that a node would read otherwise than it looks. No value is ever shown. */
import { nearName } from '../yaml/diagnostic.ts';
import { isMistake } from './address.ts';
import type { ArgumentWarning, Finding } from './argument-warning.ts';
import { firstValue, type KernelArgument, valuesOf } from './command-line.ts';
import {
  CONFIG_URL_VARIABLES,
  joinInlineConfig,
  parseOauthArguments,
  parseSideroLinkArgument,
} from './config-arguments.ts';
import { parseQuery, parseUrl, splitHostPort } from './url.ts';

export function checkConfigArguments(args: readonly KernelArgument[]): readonly ArgumentWarning[] {
  const platform = firstValue(args, 'talos.platform') ?? 'metal';
  const config = firstValue(args, 'talos.config');
  const sideroLink = firstValue(args, 'siderolink.api');
  const inline = ['talos.config.early', 'talos.config.inline'].flatMap((key) => {
    const values = valuesOf(args, key);
    return values.length === 0 ? [] : named(key, checkInline(values));
  });
  return [
    // Other platforms have meanings of their own for it.
    ...(config === undefined || platform !== 'metal' ? [] : named('talos.config', checkConfigUrl(config))),
    ...inline,
    ...checkOauth(args),
    ...(sideroLink === undefined ? [] : named('siderolink.api', checkSideroLink(sideroLink))),
  ];
}

function named(key: string, findings: readonly Finding[]): readonly ArgumentWarning[] {
  return findings.map((finding) => ({ argument: key, ...finding }));
}

/** Words that are no URL. */
const CONFIG_WORDS: readonly string[] = ['none', 'metal-iso'];

function checkConfigUrl(value: string): readonly Finding[] {
  if (CONFIG_WORDS.includes(value) || value === '') return [];
  const word = CONFIG_WORDS.find((known) => known === value.toLowerCase());
  if (word !== undefined)
    return [{ message: 'a URL to the node: only the exact word has a meaning', hint: `write ${word}` }];
  const url = parseUrl(value);
  if (isMistake(url)) return [{ message: `${url.mistake}: no URL`, ...variableHint(value) }];
  if (url.scheme === '' || url.host === '')
    return [{ message: 'no URL with scheme and host', hint: 'like https://host/path' }];
  if (!['http', 'https'].includes(url.scheme)) return [{ message: `scheme ${url.scheme}: want http or https` }];
  return checkVariables(url.path, url.fragment, url.query);
}

function variableHint(value: string): { readonly hint?: string } {
  return value.includes('${') ? { hint: 'variables are filled in query values only' } : {};
}

function checkVariables(path: string, fragment: string, query: string): readonly Finding[] {
  const findings: Finding[] = [];
  if ([path, fragment].some((part) => part.includes('${'))) {
    findings.push({ message: 'a variable outside of the query: left as it is', hint: 'put it into a query value' });
  }
  const values = parseQuery(query);
  if ([...values.keys()].some((key) => key.includes('${'))) {
    findings.push({ message: 'a variable as the name of a query value: left as it is' });
  }
  if (query.includes(';')) findings.push({ message: 'a ";" in the query: the node does not understand that part' });
  const names = [...values.values()]
    .flat()
    // Behind the last bracket nothing is closed, and each opening there would look for an end in vain.
    .flatMap((value) => [...value.slice(0, value.lastIndexOf('}') + 1).matchAll(/\$\{([^}]*)\}/g)])
    .map(([, name]) => name);
  for (const name of new Set(names)) {
    if (name === undefined || CONFIG_URL_VARIABLES.includes(name.toLowerCase())) continue;
    const near = nearName(name, CONFIG_URL_VARIABLES);
    const hint = near === undefined ? `known: ${CONFIG_URL_VARIABLES.join(', ')}` : `did you mean ${near}?`;
    findings.push({ message: `variable "${name.slice(0, 40)}": unknown, left as it is`, hint });
  }
  return findings;
}

function checkInline(values: readonly string[]): readonly Finding[] {
  const joined = joinInlineConfig(values);
  if (!isMistake(joined)) return joined.compressed.length === 0 ? [{ message: 'no configuration in it' }] : [];
  const hint = 'make the value with: zstd --stdout FILE | base64 --wrap=0';
  return [{ message: `${joined.mistake}; the node finds no configuration at all`, hint }];
}

function checkOauth(args: readonly KernelArgument[]): readonly ArgumentWarning[] {
  const prefix = 'talos.config.oauth.';
  const given = args.filter(({ key }) => key.startsWith(prefix));
  if (given.length === 0) return [];
  const oauth = parseOauthArguments(args);
  if (oauth === undefined) {
    return given.map(({ key }) => ({ argument: key, message: `ignored without ${prefix}client_id` }));
  }
  if (isMistake(oauth)) {
    return [{ argument: `${prefix}client_id`, message: `talos.config: ${oauth.mistake}: no URL to make its own from` }];
  }
  const warnings: ArgumentWarning[] = [];
  for (const name of oauth.extraVariables) {
    if (CONFIG_URL_VARIABLES.includes(name)) continue;
    const message = `want ${CONFIG_URL_VARIABLES.join(', ')}; with any other name the flow fails`;
    warnings.push({ argument: `${prefix}extra_variable=${name.slice(0, 60)}`, message });
  }
  for (const scope of oauth.scopes) {
    if (!scope.includes(',')) continue;
    const hint = 'give the argument once for each scope';
    warnings.push({ argument: `${prefix}scope=${scope.slice(0, 60)}`, message: 'one scope, commas and all', hint });
  }
  for (const [name, text] of [
    ['device_auth_url', oauth.deviceAuthUrl],
    ['token_url', oauth.tokenUrl],
  ] as const) {
    const url = parseUrl(text);
    if (!isMistake(url) && url.scheme !== '' && url.host !== '') continue;
    const argument = firstValue(args, prefix + name) === undefined ? `${prefix}client_id` : prefix + name;
    warnings.push({ argument, message: `no URL for ${name}`, hint: `give ${prefix}${name}, or talos.config as a URL` });
  }
  return warnings;
}

function checkSideroLink(value: string): readonly Finding[] {
  const endpoint = parseSideroLinkArgument(value);
  if (endpoint === undefined) return [{ message: 'no value: SideroLink stays off' }];
  if (isMistake(endpoint))
    return [{ message: `${endpoint.mistake}: no endpoint`, hint: 'like https://host:8090/?jointoken=...' }];
  const findings: Finding[] = [];
  const { name, port } = splitHostPort(endpoint.host);
  if (name === '') findings.push({ message: 'no host' });
  if (port === '') findings.push({ message: 'no port', hint: 'only https has one by itself, 443' });
  if (!['grpc', 'https'].includes(endpoint.scheme)) {
    findings.push({ message: `scheme ${endpoint.scheme}: want grpc (without TLS) or https` });
  }
  const url = parseUrl(value.includes('://') ? value : `grpc://${value}`);
  const tunnel = isMistake(url) ? undefined : parseQuery(url.query).get('grpc_tunnel')?.[0];
  if (tunnel !== undefined && !['true', 'y', 'false', 'n', ''].includes(tunnel)) {
    findings.push({ message: 'grpc_tunnel: only true and y switch the tunnel on' });
  }
  return findings;
}
