/**
 * Kernel arguments looked at before they are baked into an image: what the node would refuse, ignore or take for something
 * else. Only warnings, nothing is changed: somebody may know better. Source: spec machine-config 6.
 */
import { nearName, quoted } from '../yaml/diagnostic.ts';
import { isMistake } from './address.ts';
import { type ArgumentWarning, type Finding, shownArgument } from './argument-warning.ts';
import { type KernelArgument, parseCommandLine } from './command-line.ts';
import { checkConfigArguments } from './config-argument-checks.ts';
import { parseDuration } from './duration.ts';
import { isHostPort } from './endpoint.ts';
import { checkNetworkArguments } from './network-argument-checks.ts';
import { knownPlatform, PLATFORM_NAMES } from './platform.ts';
import { parseUrl, splitHostPort } from './url.ts';

interface ArgumentRule {
  /** The node reads only the first value. */
  readonly once?: true;
  /** Never shown. */
  readonly secret?: true;
  readonly check?: (value: string) => Finding | undefined;
}

/** Every argument the node itself reads; `ip`, `bond`, `vlan` and `talos.config*` have checks of their own beside these. */
const RULES: Readonly<Record<string, ArgumentRule>> = {
  ip: {},
  bond: { once: true },
  vlan: { once: true },
  'talos.hostname': { once: true },
  'talos.network.interface.ignore': {},
  'talos.platform': { once: true, check: checkPlatform },
  'talos.config': { once: true, secret: true },
  'talos.config.early': { secret: true },
  'talos.config.inline': { secret: true },
  'talos.config.oauth.client_id': { once: true },
  'talos.config.oauth.client_secret': { once: true, secret: true },
  'talos.config.oauth.audience': { once: true },
  'talos.config.oauth.scope': {},
  'talos.config.oauth.extra_variable': {},
  'talos.config.oauth.device_auth_url': { once: true },
  'talos.config.oauth.token_url': { once: true },
  'talos.environment': { secret: true, check: checkEnvironment },
  'siderolink.api': { once: true, secret: true },
  'talos.events.sink': { once: true, check: checkEventSink },
  'talos.logging.kernel': { once: true, check: checkKernelLog },
  'talos.experimental.wipe': { once: true, check: checkWipe },
  'talos.dashboard.disabled': { once: true, check: checkSwitch },
  'talos.auditd.disabled': { once: true, check: checkSwitch },
  'talos.halt_if_installed': { once: true, check: checkSwitch },
  'talos.dashboard.console': { once: true, check: checkConsole },
  'talos.device.settle_time': { once: true, check: checkSettleTime },
  'talos.shutdown': { once: true, check: checkShutdown },
  'talos.unified_cgroup_hierarchy': { once: true, check: checkCgroups },
  panic: { once: true, check: checkPanic },
  selinux: { once: true, check: checkExactlyOne },
  enforcing: { once: true, check: checkExactlyOne },
  'module.sig_enforce': { once: true, check: checkExactlyOne },
  'net.ifnames': { check: checkInterfaceNames },
  'em.events_url': { once: true },
};

/**
 * Warnings about a whole command line, as text or as parsed. `ip`, `bond` and `vlan` are read together, because a mistake
 * in one of them costs the node all of them. Never throws, whatever the arguments are.
 */
export function checkKernelArguments(commandLine: readonly KernelArgument[] | string): readonly ArgumentWarning[] {
  const args = typeof commandLine === 'string' ? parseCommandLine(commandLine) : commandLine;
  return [...args.flatMap(checkArgument), ...checkNetworkArguments(args), ...checkConfigArguments(args)];
}

/** Go's `strconv.ParseBool`; the node takes everything else for false without a word. */
export function parseSwitch(value: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false;
  return undefined;
}

function checkArgument(argument: KernelArgument): readonly ArgumentWarning[] {
  const { key, values } = argument;
  const rule = Object.hasOwn(RULES, key) ? RULES[key] : undefined;
  if (rule === undefined) return checkUnknownKey(argument);
  const warnings: ArgumentWarning[] = [];
  const used = rule.once === true ? values.slice(0, 1) : values;
  for (const value of used) {
    const finding = checkQuotes(value) ?? rule.check?.(value);
    if (finding !== undefined) warnings.push({ argument: shown(key, value), ...finding });
  }
  if (rule.once === true && new Set(values).size > 1) {
    const message = `${values.length} values: the node reads the first only`;
    const hint = `"-${key}" before a new value takes away the ones there are`;
    warnings.push({ argument: shown(key, values[0] ?? ''), message, hint });
  }
  return warnings;
}

/** The argument as warnings name it. */
export function shown(key: string, value: string): string {
  return Object.hasOwn(RULES, key) && RULES[key]?.secret === true ? key : shownArgument(key, value);
}

/** The kernel and GRUB know quotes; the node does not. */
function checkQuotes(value: string): Finding | undefined {
  const mark = value[0];
  if (mark !== '"' && mark !== "'") return undefined;
  const hint = 'leave the quotes away; a value cannot hold blanks';
  return { message: `begins with ${mark}: to the node quotes are part of the value`, hint };
}

function checkUnknownKey({ key, values }: KernelArgument): readonly ArgumentWarning[] {
  if (key === '--') {
    return [{ argument: '--', message: 'no separator to the node: what follows is read like all the rest' }];
  }
  if (/^["']/.test(key)) {
    const message = 'begins with a quote: to the node quotes are part of the name';
    return [{ argument: key, message, hint: 'leave the quotes away' }];
  }
  const folded = key.toLowerCase().replaceAll('_', '.').replaceAll('-', '.');
  const meant = Object.keys(RULES).find((name) => name.replaceAll('_', '.') === folded);
  const isOurs = key.startsWith('talos.') || key.startsWith('siderolink.');
  const near = meant ?? (isOurs ? nearName(key, Object.keys(RULES)) : undefined);
  if (!isOurs && meant === undefined) return [];
  const message = 'no argument the node knows';
  const hint = near === undefined ? {} : { hint: `did you mean ${near}?` };
  // A mistyped name may be that of a credential.
  const isSecret = /secret|token|key/i.test(key) || (near !== undefined && RULES[near]?.secret === true);
  return [{ argument: isSecret ? key : shown(key, values[0] ?? ''), message, ...hint }];
}

function checkPlatform(value: string): Finding | undefined {
  if (knownPlatform(value) !== undefined) return undefined;
  const near = nearName(value, PLATFORM_NAMES);
  const message = `no platform: want ${PLATFORM_NAMES.join(', ')}`;
  return near === undefined ? { message } : { message, hint: `did you mean ${near}?` };
}

function checkEnvironment(value: string): Finding | undefined {
  const equals = value.indexOf('=');
  if (equals <= 0) return { message: 'no NAME=value' };
  const name = value.slice(0, equals);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { message: `${quoted(name)}: no name of a variable` };
  if (!/,[A-Za-z_][A-Za-z0-9_]*=/.test(value)) return undefined;
  return {
    message: `sets ${name} alone, with everything after it`,
    hint: 'give one talos.environment for each variable',
  };
}

function checkEventSink(value: string): Finding | undefined {
  return isHostPort(value) ? undefined : { message: 'want host:port' };
}

function checkKernelLog(value: string): Finding | undefined {
  const url = parseUrl(value);
  const hint = 'like udp://192.0.2.1:5514';
  if (isMistake(url)) return { message: `${url.mistake}: want a URL`, hint };
  if (url.scheme !== 'udp' && url.scheme !== 'tcp') return { message: `scheme "${url.scheme}": want udp or tcp`, hint };
  return splitHostPort(url.host).port === '' ? { message: 'no port', hint } : undefined;
}

function checkWipe(value: string): Finding | undefined {
  if (value === 'system' || value === '') return undefined;
  const labels = value.startsWith('system:') ? value.slice('system:'.length).split(',') : [];
  if (labels.length > 0 && labels.every((label) => label !== '')) return undefined;
  return { message: 'want system or system:LABEL,LABEL; anything else fails the boot' };
}

function checkSwitch(value: string): Finding | undefined {
  if (parseSwitch(value) !== undefined) return undefined;
  return { message: `${value === '' ? 'no value' : quoted(value)}: counts as false`, hint: 'write 1 or 0' };
}

function checkConsole(value: string): Finding | undefined {
  if (/^tty[^/]*$/.test(value)) return undefined;
  return { message: 'want the name of a terminal without directory, like tty2' };
}

function checkSettleTime(value: string): Finding | undefined {
  const duration = parseDuration(value);
  if (duration === undefined) return { message: 'no duration, counts as 0', hint: 'like 3s or 500ms' };
  return duration < 0n ? { message: 'less than 0' } : undefined;
}

function checkShutdown(value: string): Finding | undefined {
  if (value === 'halt' || value === 'poweroff') return undefined;
  return { message: 'powers off: only the word halt does anything else' };
}

function checkCgroups(value: string): Finding | undefined {
  return value === '0' ? { message: 'no effect: the node has cgroups of version 2 only' } : undefined;
}

/** The kernel takes any number; the node looks for the one word. */
function checkPanic(value: string): Finding | undefined {
  if (value === '0' || !/^[-+]?0+$/.test(value)) return undefined;
  return { message: 'only "0" itself keeps the node from rebooting after a failure', hint: 'write panic=0' };
}

function checkExactlyOne(value: string): Finding | undefined {
  if (value === '1' || value === '0') return undefined;
  return { message: `${value === '' ? 'no value' : quoted(value)}: only 1 counts as on` };
}

function checkInterfaceNames(value: string): Finding | undefined {
  if (value === '0' || value === '1') return undefined;
  return { message: 'want 0, which keeps names like eth0, or 1' };
}
