import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elideKernelArguments, elideProfile } from '../../src/cli/elide.ts';
import { resolveProfile } from '../../src/profiles/resolve.ts';

const CASES: readonly (readonly [string, string])[] = [
  ['console=tty0 panic=5 quiet', 'console=tty0 panic=5 quiet'],
  ['talos.environment=INSTALLER_META_BASE64=MHhhPQ==', 'talos.environment=INSTALLER_META_BASE64=<8 characters>'],
  ['talos.environment=http_proxy=http://u:p@h', 'talos.environment=http_proxy=<12 characters>'],
  ['talos.environment=broken', 'talos.environment=<6 characters>'],
  ['a=b talos.config=https://h/?token=t=1  c', 'a=b talos.config=<20 characters>  c'],
  ['talos.config.oauth.client_secret=A=b', 'talos.config.oauth.client_secret=<3 characters>'],
  ['siderolink.api=grpc://h?jointoken=x', 'siderolink.api=<20 characters>'],
  ['my_token=1', 'my_token=<1 character>'],
  ['-talos.config=x', '-talos.config=<1 character>'],
  ['talos.config=', 'talos.config='],
  ['talos.config', 'talos.config'],
  ['my.password="hunter2 correct horse" quiet', 'my.password=<23 characters> quiet'],
  ['my.password=a"b c"d quiet', 'my.password=<7 characters> quiet'],
  ['"my.password=b c" quiet', '"my.password=<4 characters> quiet'],
  ['my.password="open end', 'my.password=<9 characters>'],
  ['dyndbg="file a.c +p" quiet', 'dyndbg="file a.c +p" quiet'],
  ['', ''],
];

for (const [text, expected] of CASES) {
  test(text, () => assert.equal(elideKernelArguments(text), expected));
}

test('a profile keeps everything that is no secret, in its place', () => {
  const profile = resolveProfile({
    baseProfileName: 'iso',
    arch: 'amd64',
    customization: {
      extraKernelArgs: ['quiet', 'talos.config=x'],
      metaContents: [
        { key: 10, value: 'abc' },
        { key: 11, value: '' },
      ],
      embeddedMachineConfiguration: 'a: b\n',
    },
  });
  const { customization, ...rest } = elideProfile(profile);
  assert.deepEqual(customization, {
    extraKernelArgs: ['quiet', 'talos.config=<1 character>'],
    metaContents: [
      { key: 10, value: '<3 characters>' },
      { key: 11, value: '' },
    ],
    embeddedMachineConfiguration: '<5 characters>',
  });
  const { customization: _, ...before } = profile;
  assert.deepEqual(rest, before);
});
