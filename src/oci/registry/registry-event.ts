/** What happens on the way to a result, for who wants to tell of it. */

/** `what` is `manifest a/b:v1` or `blob a/b@sha256:...`, `endpoint` a host, with its path where that is not `/v2`. */
export type RegistryEvent =
  | { readonly kind: 'served'; readonly what: string; readonly endpoint: string }
  | { readonly kind: 'failed'; readonly what: string; readonly endpoint: string; readonly reason: string }
  /** The endpoint announced another digest than its manifest has; the computed one counts. */
  | { readonly kind: 'digest-differs'; readonly what: string; readonly endpoint: string; readonly announced: string };
