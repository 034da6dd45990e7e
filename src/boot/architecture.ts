/** Target architectures of boot assets, in OCI terms. */
export type Architecture = 'amd64' | 'arm64';
