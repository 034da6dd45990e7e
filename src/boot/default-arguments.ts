/** Kernel arguments every Talos machine gets, by version. Source: spec profiles-and-inputs 4.4. */
import type { Traits } from '../profiles/traits.ts';
import { NVME_TIMEOUT } from './platform-arguments.ts';

export type DefaultArgumentTraits = Pick<
  Traits,
  | 'dropsInitOnAlloc'
  | 'limitsNvmeTimeoutToAws'
  | 'usesIma'
  | 'usesSelinux'
  | 'enforcesModuleSignatures'
  | 'forbidsProcMemWrites'
>;

export type SecureBootArgumentTraits = Pick<Traits, 'forcesLockdown'>;

/** In order; `slab_nomerge` has no value. */
export function defaultArguments(traits: DefaultArgumentTraits): string[] {
  return [
    ...when(!traits.dropsInitOnAlloc, 'init_on_alloc=1'),
    'slab_nomerge',
    'pti=on',
    'consoleblank=0',
    ...when(!traits.limitsNvmeTimeoutToAws, NVME_TIMEOUT),
    'printk.devkmsg=on',
    ...when(traits.usesIma, 'ima_template=ima-ng', 'ima_appraise=fix', 'ima_hash=sha512'),
    ...when(traits.usesSelinux, 'selinux=1'),
    ...when(traits.enforcesModuleSignatures, 'module.sig_enforce=1'),
    ...when(traits.forbidsProcMemWrites, 'proc_mem.force_override=never'),
  ];
}

export function secureBootArguments(traits: SecureBootArgumentTraits): string[] {
  return when(traits.forcesLockdown, 'lockdown=confidentiality');
}

function when(present: boolean, ...args: string[]): string[] {
  return present ? args : [];
}
