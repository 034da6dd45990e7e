/** Self-signed TLS certificates made on the spot, so that no key lies in the repository and none runs out. */
import { generateKeyPairSync, sign } from 'node:crypto';

export interface KeyPair {
  /** PEM. */
  readonly key: string;
  readonly cert: string;
}

/** Authorities with the same name are the same one to OpenSSL, whatever their keys. */
let count = 0;

/** A P-256 certificate for DNS names and IPv4 addresses, its own authority, valid from 2020 to 2049 (RFC 5280). */
export function selfSigned(names: readonly string[]): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const algorithm = sequence(hex('06082a8648ce3d040302'));
  const name = sequence(der(0x31, sequence(hex('0603550403'), der(0x0c, Buffer.from(`bootwright test ${++count}`)))));
  const alternatives = sequence(
    ...names.map((one) =>
      /^\d+\.\d+\.\d+\.\d+$/.test(one)
        ? der(0x87, Buffer.from(one.split('.').map(Number)))
        : der(0x82, Buffer.from(one)),
    ),
  );
  const extensions = der(
    0xa3,
    sequence(
      sequence(hex('0603551d13'), hex('0101ff'), der(0x04, sequence(hex('0101ff')))),
      sequence(hex('0603551d11'), der(0x04, alternatives)),
    ),
  );
  const body = sequence(
    hex('a003020102'),
    hex('020101'),
    algorithm,
    name,
    sequence(der(0x17, Buffer.from('200101000000Z')), der(0x17, Buffer.from('491231235959Z'))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions,
  );
  const signature = sign('sha256', body, privateKey);
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const text = certificate
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd();
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
  };
}

/** One DER element: tag, definite length, content. */
function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}
