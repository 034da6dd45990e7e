import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { finaliseProfile, resolveProfile } from '../../src/profiles/resolve.ts';
import { redactArguments, redactProfile, redactUrls } from '../../src/report/redact.ts';

describe('kernel arguments', () => {
  const cases: readonly (readonly [string, string | RegExp])[] = [
    ['console=ttyS0  panic=5', 'console=ttyS0  panic=5'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as Talos has it
    ['talos.config=https://host/c?uuid=${uuid}&m=${mac}', 'talos.config=https://host/***?uuid=${uuid}&m=${mac}'],
    ['talos.config=https://me:secret@host:8443/c?sig=abc&x=', 'talos.config=https://***@host:8443/***?sig=***&x='],
    ['talos.config=https://a@b@host/', 'talos.config=https://***@host/'],
    ['siderolink.api=grpc://h:8081?jointoken=abc', 'siderolink.api=grpc://h:8081?jointoken=***'],
    ['siderolink.api=grpc://h:8081?abc#frag', 'siderolink.api=grpc://h:8081?***#***'],
    ['talos.environment=http_proxy=http://u:p@proxy:3128', 'talos.environment=http_proxy=http://***@proxy:3128'],
    ['talos.environment=MY_TOKEN=abc', 'talos.environment=MY_TOKEN=***'],
    [
      'talos.environment=INSTALLER_META_BASE64=MHhhPXg=',
      /^talos\.environment=INSTALLER_META_BASE64=sha256:[0-9a-f]{64}$/,
    ],
    ['talos.config.inline=H4sI', /^talos\.config\.inline=sha256:[0-9a-f]{64}$/],
    ['talos.environment=GREETING=hello', 'talos.environment=GREETING=***'],
    ['talos.environment=broken', 'talos.environment=***'],
    ['talos.config=metal-iso', 'talos.config=***'],
    ['talos.config=', 'talos.config='],
    ['root_password=x', 'root_password=***'],
    ['some.key=x', 'some.key=***'],
    ['mirror=https://h/path?x=1', 'mirror=https://h/path?x=***'],
    ['-console', '-console'],
  ];
  for (const [text, want] of cases) {
    test(text, () => {
      if (typeof want === 'string') assert.equal(redactArguments(text), want);
      else assert.match(redactArguments(text), want);
    });
  }
});

test('URLs inside sentences', () => {
  assert.equal(redactUrls('mirror "https://u:p@h/v2/": slow'), 'mirror "https://***@h/v2/": slow');
});

test('a profile: META, configuration and overlay options by digest alone', () => {
  const profile = finaliseProfile(
    resolveProfile({
      baseProfileName: 'iso',
      arch: 'arm64',
      customization: {
        metaContents: [{ key: 10, value: 'wireguard key' }],
        extraKernelArgs: ['siderolink.api=grpc://h?jointoken=hidden'],
        embeddedMachineConfiguration: 'secrets: hidden',
      },
      overlay: { name: 'board', image: { imageRef: 'registry.example/board:v1' }, options: { serial: 'hidden' } },
    }),
  );
  const { traits: _, warnings: __, ...document } = profile;
  const text = JSON.stringify(redactProfile(document));
  assert.doesNotMatch(text, /hidden|wireguard/);
  const { customization, overlay } = JSON.parse(text);
  assert.match(customization.metaContents[0].digest, /^sha256:/);
  assert.match(customization.embeddedMachineConfiguration.digest, /^sha256:/);
  assert.deepEqual(Object.keys(overlay.options), ['serial']);
  assert.equal(overlay.image.imageRef, 'registry.example/board:v1');
});
