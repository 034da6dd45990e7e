/** The flags that say who must have signed: of `imager verify`, in words of cosign. */
import { type Command, Option } from 'commander';
import { ImagerError } from '../errors.ts';
import type { Requirement, SignatureHash } from '../trust/policy.ts';
import { addRootOptions, type RootFlags } from './root-flags.ts';
import { addTransportOptions, type TransportFlags } from './transport-flags.ts';

/** As given; absent where it was not. */
export interface VerifyFlags extends TransportFlags, RootFlags {
  /** A reference, or the digest of an image. */
  readonly image: string;
  /** `oci:DIR`. */
  readonly from?: string;
  readonly trustedRoot?: string;
  readonly verifyKey?: string;
  readonly signatureHash?: SignatureHash;
  readonly verifyIdentity?: string;
  readonly verifyIdentityRegexp?: string;
  readonly verifyIssuer?: string;
  readonly verifyIssuerRegexp?: string;
  readonly annotation?: Readonly<Record<string, string>>;
  readonly predicateType?: string;
  readonly requireReference?: string;
  readonly tlog?: Requirement;
  readonly timestamp?: Requirement;
  readonly sct?: Requirement;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  imager verify ghcr.io/siderolabs/installer:v1.13.9
  imager verify registry.example/team/tool:v1 --verify-key team.pub
  imager verify registry.example/team/tool:v1 --verify-identity-regexp '@example\\.com$' --verify-issuer https://accounts.example.com
  imager verify sha256:f417... --from oci:./signatures --json     contacts nothing

Exit status: 0 a signature satisfies what was asked for, 5 none does or they cannot be had.`;

/** Attaches the command; `found` receives what was given. */
export function addVerify(program: Command, found: (flags: VerifyFlags) => void): void {
  const requirement = (name: string, what: string): Option =>
    new Option(`--${name} <MODE>`, what).choices(['require', 'ignore']);
  addRootOptions(addTransportOptions(program.command('verify')))
    .description('judge the signatures of an image, without building')
    .argument('<image>', 'a reference, or with --from a digest')
    .option('--from <SOURCE>', 'take signatures from oci:DIR and contact nothing')
    .option(
      '--trusted-root <FILE>',
      "sigstore trusted root in JSON (default: the public instance's, fetched anew when it is old)",
    )
    .option('--store <DIR>', 'where that is kept (default: $XDG_CACHE_HOME/bootwright)')
    .option('--verify-key <FILE>', 'public key in PEM that must have signed')
    .addOption(
      new Option('--signature-hash <HASH>', 'hash of legacy signatures by that key (default: sha256)').choices([
        'sha256',
        'sha384',
        'sha512',
      ]),
    )
    .option('--verify-identity <SUBJECT>', 'identity that must have signed')
    .option('--verify-identity-regexp <REGEXP>', 'the same as an RE2 expression, which searches')
    .option('--verify-issuer <URL>', 'who must vouch for the identity')
    .option('--verify-issuer-regexp <REGEXP>', 'the same as an RE2 expression, which searches')
    .option('--annotation <KEY=VALUE>', 'signed value that must be there; repeatable', annotation)
    .option('--predicate-type <TYPE>', "statement that counts as a signature (default: cosign's sign/v1)")
    .option('--require-reference <REF>', 'repository that must have been signed')
    .addOption(requirement('tlog', 'entry of a transparency log (default: require; ignore with a key)'))
    .addOption(requirement('timestamp', 'RFC 3161 timestamp (default: ignore)'))
    .addOption(requirement('sct', 'proof that the certificate was published (default: require)'))
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action((image: string, _options: unknown, command: Command) => {
      // Flags that builds have too are accepted before the name of the command.
      found({ ...command.optsWithGlobals<Omit<VerifyFlags, 'image'>>(), image });
    });
}

function annotation(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at <= 0) throw new ImagerError('usage', `flag --annotation "${text}": want KEY=VALUE`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
