/** `name:port`, `1.2.3.4:port` or `[v6]:port`, port 1..65535. */
export function isHostPort(text: string): boolean {
  const [, host = '', port = ''] = /^(\[[^[\]]*\]|[^[\]:]*):([0-9]+)$/.exec(text) ?? [];
  return host !== '' && host !== '[]' && port.length <= 5 && Number(port) >= 1 && Number(port) <= 65535;
}
