/** The kernel command line of a boot asset. Source: spec profiles-and-inputs 4.2. */
import { parseCommandLine } from '../machineconfig/command-line.ts';
import { encodeMetaEnvironment, META_ENVIRONMENT_VARIABLE } from '../meta/environment.ts';
import type { MetaValue } from '../meta/value.ts';
import type { Architecture, OutputKind } from '../profiles/profile.ts';
import type { Traits } from '../profiles/traits.ts';
import {
  type DefaultArgumentTraits,
  defaultArguments,
  type SecureBootArgumentTraits,
  secureBootArguments,
} from './default-arguments.ts';
import { checkKernelQuoting, checkQuotesKept, losesBlanks } from './kernel-quoting.ts';
import {
  appendAll,
  appendParameter,
  appendValue,
  formatParameters,
  isNegation,
  type Parameter,
  type Parameters,
  setAll,
} from './parameters.ts';
import { canonicalPlatform, type PlatformTraits, platformArguments } from './platform-arguments.ts';

export type CmdlineTraits = PlatformTraits &
  DefaultArgumentTraits &
  SecureBootArgumentTraits &
  Pick<Traits, 'haltsIfInstalled' | 'readsCompressedMeta'>;

export interface CmdlineRequest {
  readonly platform: string;
  readonly architecture: Architecture;
  /** `iso` and `image` make a difference. */
  readonly kind: OutputKind;
  readonly secureBoot: boolean;
  readonly traits: CmdlineTraits;
  /** `kernelArgs` of the overlay's options, which replace by key. */
  readonly overlayArguments?: readonly string[];
  /** Ignored for `image`, which has a META partition. */
  readonly meta?: readonly MetaValue[];
  /** The user's: `-key` and `-key=value` remove, `console` and `talos.platform` replace, all others add. */
  readonly extraArguments?: readonly string[];
}

export type CmdlineWarningCode =
  | 'cmdline-too-long'
  | 'cmdline-not-ascii'
  | 'cmdline-blanks-lost'
  | 'cmdline-negation-without-effect'
  | 'cmdline-platform-changed';

export interface CmdlineWarning {
  readonly code: CmdlineWarningCode;
  readonly message: string;
}

export interface Cmdline {
  /** One line without a newline. */
  readonly text: string;
  readonly warnings: readonly CmdlineWarning[];
}

/** COMMAND_LINE_SIZE is 2048 on x86 and arm64, the final NUL included. */
export const CMDLINE_LIMIT = 2047;

/** Given once more by the user these replace what was there; anything else is added to it. */
const OVERWRITTEN = ['console', 'talos.platform'];

/**
 * Composes the command line. Throws `invalid-input` for an unknown platform, for arguments the kernel would misread (unbalanced or torn
 * quotes, control characters) and for META values the command line cannot carry.
 */
export function buildCmdline(request: CmdlineRequest): Cmdline {
  const overlay = request.overlayArguments ?? [];
  const extra = request.extraArguments ?? [];
  checkKernelQuoting(overlay);
  checkKernelQuoting(extra);
  const composed = appendExtra(composeWithoutExtra(request, overlay), extra);
  const text = formatParameters(composed.parameters);
  checkQuotesKept(text, [overlay, extra]);
  const warnings = [
    ...composed.withoutEffect.map(negationWarning),
    ...platformWarnings(composed.parameters, canonicalPlatform(request.platform)),
    ...(losesBlanks(overlay) || losesBlanks(extra) ? [BLANKS_WARNING] : []),
    ...lineWarnings(text),
  ];
  return { text, warnings };
}

function composeWithoutExtra(request: CmdlineRequest, overlay: readonly string[]): Parameters {
  const { platform, architecture, kind, traits } = request;
  let list = appendValue([], 'talos.platform', canonicalPlatform(platform));
  list = setAll(list, platformArguments(platform, architecture, traits));
  if (kind === 'iso' && traits.haltsIfInstalled) list = appendValue(list, 'talos.halt_if_installed', '1');
  list = setAll(list, overlay);
  list = appendAll(list, defaultArguments(traits));
  if (request.secureBoot) list = appendAll(list, secureBootArguments(traits));
  return kind === 'image' ? list : appendMeta(list, request.meta ?? [], traits);
}

function appendMeta(list: Parameters, meta: readonly MetaValue[], traits: CmdlineTraits): Parameters {
  if (meta.length === 0) return list;
  const encoded = encodeMetaEnvironment(meta, { gzip: traits.readsCompressedMeta });
  return appendValue(list, 'talos.environment', `${META_ENVIRONMENT_VARIABLE}=${encoded}`);
}

interface Composed {
  readonly parameters: Parameters;
  /** Negations that removed nothing. */
  readonly withoutEffect: readonly Parameter[];
}

function appendExtra(list: Parameters, extra: readonly string[]): Composed {
  const withoutEffect: Parameter[] = [];
  let parameters = list;
  for (const one of parseCommandLine(extra.join(' '))) {
    const next = appendParameter(parameters, one, { overwrite: OVERWRITTEN, negate: true });
    if (isNegation(one.key) && countValues(next) === countValues(parameters)) withoutEffect.push(one);
    parameters = next;
  }
  return { parameters, withoutEffect };
}

function countValues(parameters: Parameters): number {
  return parameters.reduce((sum, { values }) => sum + values.length, 0);
}

const BLANKS_WARNING: CmdlineWarning = {
  code: 'cmdline-blanks-lost',
  message: 'kernel arguments: blanks between quotes become one space each',
};

function negationWarning(parameter: Parameter): CmdlineWarning {
  const shown = formatParameters([parameter]);
  return { code: 'cmdline-negation-without-effect', message: `kernel argument "${shown}" removes nothing` };
}

function platformWarnings(parameters: Parameters, platform: string): CmdlineWarning[] {
  const values = parameters.find(({ key }) => key === 'talos.platform')?.values ?? [];
  if (values.length === 1 && values[0] === platform) return [];
  const got = values.length === 0 ? 'is gone' : `is ${values.join(', ')}`;
  const message = `kernel argument talos.platform ${got}, while the other arguments are those of ${platform}`;
  return [{ code: 'cmdline-platform-changed', message }];
}

function lineWarnings(text: string): CmdlineWarning[] {
  const warnings: CmdlineWarning[] = [];
  const size = new TextEncoder().encode(text).length;
  if (size > CMDLINE_LIMIT) {
    const message = `kernel command line: ${size} bytes, and the kernel cuts it off after ${CMDLINE_LIMIT}`;
    warnings.push({ code: 'cmdline-too-long', message });
  }
  if (size !== text.length) {
    const message = 'kernel command line: characters outside ASCII, which boot loaders and firmware may change';
    warnings.push({ code: 'cmdline-not-ascii', message });
  }
  return warnings;
}
