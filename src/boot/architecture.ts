/** Target architectures of boot assets, in OCI terms. */
export type { Architecture } from '../profiles/profile.ts';
