/** What must not get into logs (WireGuard keys, tokens, machine configurations), replaced by how much of it there is. */
import { shown } from '../machineconfig/kernel-arguments.ts';
import type { Profile } from '../profiles/profile.ts';

/** An argument with a value: double quotes, around all of it or parts of the value, keep it together as the kernel has it. */
const ARGUMENT = /"[^\s="]+=[^"]*"?|[^\s="]+=(?:"[^"]*"?|[^\s"])+/g;

/** `console=tty0 talos.environment=INSTALLER_META_BASE64=<420 characters>`. White space stays as it is. */
export function elideKernelArguments(text: string): string {
  return text.replace(ARGUMENT, (argument) => {
    const cut = argument.indexOf('=') + 1;
    const key = argument.slice(0, cut - 1).replace(/^"?-?/, '');
    if (!isSecret(key)) return argument;
    // Names of environment variables are no secrets, and tell what the value is.
    const [name = ''] = key === 'talos.environment' ? (/^\w+=/.exec(argument.slice(cut)) ?? []) : [];
    const head = argument.slice(0, cut + name.length);
    return `${head}${elided(argument.slice(head.length))}`;
  });
}

/** Warnings name a secret argument without its value: asked with one, the rule for it can be told. */
function isSecret(key: string): boolean {
  return shown(key, 'value') === key || /secret|token|password/i.test(key);
}

/** The profile without values of META, embedded configuration and secret kernel arguments. */
export function elideProfile(profile: Profile): Profile {
  const { customization } = profile;
  const { extraKernelArgs, metaContents, embeddedMachineConfiguration } = customization;
  return {
    ...profile,
    customization: {
      extraKernelArgs: extraKernelArgs.map(elideKernelArguments),
      metaContents: metaContents.map(({ key, value }) => ({ key, value: elided(value) })),
      embeddedMachineConfiguration: elided(embeddedMachineConfiguration),
    },
  };
}

function elided(value: string): string {
  return value === '' ? '' : `<${value.length} character${value.length === 1 ? '' : 's'}>`;
}
