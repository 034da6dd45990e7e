/**
 * Versions of what nodes of a Talos release pull unless their configuration says otherwise, as the releases have them compiled in. Source: siderolabs/talos,
 * pkg/machinery/constants and pkg/images of each tag.
 */

export interface ReleaseVersions {
  readonly kubernetes: string;
  readonly etcd: string;
  readonly coredns: string;
  readonly flannel: string;
  readonly pause: string;
  /** From 1.13. */
  readonly networkPolicies?: string;
}

/** By minor, then by the first patch that has the change; what a line does not name is as in the line before. */
export const RELEASES: Readonly<
  Record<number, readonly (readonly [patch: number, versions: Partial<ReleaseVersions>])[]>
> = {
  8: [
    [0, { kubernetes: 'v1.31.1', etcd: 'v3.5.16', coredns: 'v1.11.3', flannel: 'v0.25.6', pause: '3.9' }],
    [1, { flannel: 'v0.25.7' }],
    [2, { kubernetes: 'v1.31.2' }],
    [3, { pause: '3.10' }],
    [4, { kubernetes: 'v1.31.4', etcd: 'v3.5.17' }],
  ],
  9: [
    [0, { kubernetes: 'v1.32.0', etcd: 'v3.5.17', coredns: 'v1.12.0', flannel: 'v0.26.1', pause: '3.10' }],
    [3, { kubernetes: 'v1.32.1', etcd: 'v3.5.18' }],
    [4, { kubernetes: 'v1.32.2', flannel: 'v0.26.4' }],
    [5, { kubernetes: 'v1.32.3', etcd: 'v3.5.19', flannel: 'v0.26.5' }],
    [6, { kubernetes: 'v1.32.4', etcd: 'v3.5.21' }],
  ],
  10: [
    [0, { kubernetes: 'v1.33.0', etcd: 'v3.5.21', coredns: 'v1.12.1', flannel: 'v0.26.7', pause: '3.10' }],
    [3, { kubernetes: 'v1.33.1' }],
    [5, { kubernetes: 'v1.33.2' }],
    [6, { kubernetes: 'v1.33.3' }],
    [7, { kubernetes: 'v1.33.4' }],
    [8, { kubernetes: 'v1.33.6' }],
    [9, { etcd: 'v3.5.26' }],
  ],
  11: [
    [0, { kubernetes: 'v1.34.0', etcd: 'v3.6.4', coredns: 'v1.12.2', flannel: 'v0.27.2', pause: '3.10' }],
    [1, { coredns: 'v1.12.3' }],
    [2, { kubernetes: 'v1.34.1' }],
    [3, { etcd: 'v3.6.5', coredns: 'v1.12.4', flannel: 'v0.27.4' }],
  ],
  12: [
    [0, { kubernetes: 'v1.35.0', etcd: 'v3.6.7', coredns: 'v1.13.2', flannel: 'v0.27.4', pause: '3.10' }],
    [5, { kubernetes: 'v1.35.2', etcd: 'v3.6.8' }],
    [7, { kubernetes: 'v1.35.4', etcd: 'v3.6.9' }],
    [8, { etcd: 'v3.6.11', coredns: 'v1.14.3', pause: '3.10.1' }],
    [9, { coredns: 'v1.14.2' }],
  ],
  13: [
    [
      0,
      {
        kubernetes: 'v1.36.0',
        etcd: 'v3.6.9',
        coredns: 'v1.14.2',
        flannel: 'v0.28.4',
        pause: '3.10.1',
        networkPolicies: 'v1.0.0',
      },
    ],
    [1, { etcd: 'v3.6.11' }],
    [3, { kubernetes: 'v1.36.1' }],
    [4, { etcd: 'v3.6.12', flannel: 'v0.28.5' }],
    [5, { kubernetes: 'v1.36.2' }],
    // From here on the tag of flannel has no v.
    [7, { coredns: 'v1.14.4', flannel: '0.28.7', networkPolicies: 'v1.1.0' }],
    [8, { coredns: 'v1.14.6', flannel: '0.28.8' }],
    [9, { kubernetes: 'v1.36.3' }],
  ],
};

/** The last patch of each minor that was looked at. */
export const LAST_PATCHES: Readonly<Record<number, number>> = { 8: 4, 9: 6, 10: 9, 11: 6, 12: 11, 13: 9 };
