/** Structures in DER as PEM (RFC 7468). */

/** Lines of 64 columns; `label` as in `-----BEGIN CERTIFICATE-----`. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
