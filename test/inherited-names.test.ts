/**
 * Words from outside that every JavaScript object knows: wherever a word is looked up in a table, `constructor` has to be as unknown as
 * any other. Each look-up is fed such words and has to do what it does with a word that nothing knows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImagerError } from '../src/errors.ts';
import { findExtension, parseCatalog, parseWantedExtension } from '../src/extensions/catalog.ts';
import { parseConstraint } from '../src/extensions/constraint.ts';
import { parseManifest } from '../src/extensions/manifest.ts';
import { attributeOf as ext4Attribute } from '../src/formats/ext4/attribute.ts';
import { parseQcow2Options } from '../src/formats/qcow2/options.ts';
import { attributeOf as xfsAttribute } from '../src/formats/xfs/attribute.ts';
import { checkExpression } from '../src/machineconfig/cel/check.ts';
import { ENVIRONMENTS } from '../src/machineconfig/cel/environments.ts';
import { checkMachineConfig } from '../src/machineconfig/documents/check.ts';
import { patchMachineConfig } from '../src/machineconfig/documents/patch.ts';
import { parseDuration } from '../src/machineconfig/duration.ts';
import { checkKernelArguments } from '../src/machineconfig/kernel-arguments.ts';
import { checkNetworkDocument } from '../src/machineconfig/network-document.ts';
import { parseMetaValue } from '../src/meta/value.ts';
import { configFits } from '../src/oci/platform-choice.ts';
import { parseReference } from '../src/oci/reference.ts';
import { chooseChallenge, parseChallenges } from '../src/oci/registry/challenge.ts';
import { parseDockerConfig } from '../src/oci/registry/docker-config.ts';
import { parseHostsToml } from '../src/oci/registry/hosts-toml.ts';
import { endpointsOf, layoutsOf, parseMirrors } from '../src/oci/registry/mirrors.ts';
import { parseOverlayCatalog } from '../src/overlays/catalog.ts';
import { parseProfile } from '../src/profiles/parse.ts';
import { resolveProfile } from '../src/profiles/resolve.ts';
import { parseYaml } from '../src/yaml/document.ts';

const WORDS = [
  'constructor',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  '__proto__',
  '__defineGetter__',
];
/** As long, of the same kind of letters, and known to nobody. */
function unknown(word: string): string {
  return word.replace(/[a-z]/, 'q');
}

const ROOT = 'version: v1alpha1\nmachine: {type: worker}\ncluster: {}\n';
const CATALOG = `registry.example/org/tool:1.0.0@sha256:${'0'.repeat(64)}\n`;
const disk = ENVIRONMENTS.disk!;
const document = (kind: string, rest: string): string => `apiVersion: v1alpha1\nkind: ${kind}\n${rest}\n`;

const LOOK_UPS: Readonly<Record<string, (word: string) => unknown>> = {
  'attribute of an ext4 volume': (word) => ext4Attribute(`${word}.x`, new Uint8Array(1), 'file'),
  'attribute of an XFS volume': (word) => xfsAttribute(`${word}.x`, new Uint8Array(1), 'file'),
  'duration unit': (word) => parseDuration(`1${word}`),
  'qcow2 option': (word) => parseQcow2Options(`${word}=1`),
  'qcow2 option value': (word) => parseQcow2Options(`compat=${word}`),
  'constraint operator': (word) => parseConstraint(`${word} 1.0.0`),
  'CEL name': (word) => checkExpression(word, disk),
  'CEL field': (word) => checkExpression(`disk.${word} == ""`, disk),
  'CEL function': (word) => checkExpression(`${word}(1)`, disk),
  'CEL method': (word) => checkExpression(`disk.model.${word}()`, disk),
  'kernel argument': (word) => checkKernelArguments(`${word}=1`),
  'kernel argument of Talos': (word) => checkKernelArguments(`talos.${word}=1`),
  'kernel argument of a duration': (word) => checkKernelArguments(`talos.device.settle_time=1${word}`),
  platform: (word) => checkKernelArguments(`talos.platform=${word}`),
  'bond option': (word) => checkKernelArguments(`bond=bond0:eth0:${word}=1`),
  'bond mode': (word) => checkKernelArguments(`bond=bond0:eth0:mode=${word}`),
  'ip autoconf': (word) => checkKernelArguments(`ip=:::::eth0:${word}`),
  'configuration variable': (word) => checkKernelArguments(`talos.config=http://a/?u=\${${word}}`),
  'document kind': (word) => checkMachineConfig(document(word, 'name: a'), 'c'),
  'document key': (word) => checkMachineConfig(document('LinkConfig', `name: a\n${word}: 1`), 'c'),
  'document version': (word) => checkMachineConfig(`apiVersion: ${word}\nkind: LinkConfig\nname: a\n`, 'c'),
  'root key': (word) => checkMachineConfig(`${ROOT}${word}: 1\n`, 'c'),
  'machine key': (word) => checkMachineConfig(`machine:\n  type: worker\n  ${word}: 1\n`, 'c'),
  'machine type': (word) => checkMachineConfig(`machine:\n  type: ${word}\n`, 'c'),
  'volume name': (word) => checkMachineConfig(document('VolumeConfig', `name: ${word}`), 'c'),
  'volume type': (word) => checkMachineConfig(document('UserVolumeConfig', `name: a\nvolumeType: ${word}`), 'c'),
  'file system': (word) =>
    checkMachineConfig(document('UserVolumeConfig', `name: a\nfilesystem: {type: ${word}}`), 'c'),
  'bond document mode': (word) =>
    checkMachineConfig(document('BondConfig', `name: a\nlinks: [b]\nbondMode: ${word}`), 'c'),
  'patched key': (word) => patchMachineConfig(ROOT, `machine:\n  ${word}: 1\n`),
  'patched list': (word) => patchMachineConfig(ROOT, `machine:\n  sysctls:\n    ${word}: "1"\n`),
  'deleted kind': (word) => patchMachineConfig(ROOT, document(word, 'name: a\n$patch: delete')),
  'deleted key': (word) => patchMachineConfig(ROOT, `machine:\n  ${word}:\n    $patch: delete\n`),
  'patched pointer': (word) => patchMachineConfig(ROOT, `[{op: replace, path: /${word}, value: 1}]`),
  'JSON patch operation': (word) => patchMachineConfig(ROOT, `[{op: ${word}, path: /machine, value: 1}]`),
  'network document key': (word) => checkNetworkDocument(`${word}: 1\n`),
  'network enumeration': (word) =>
    checkNetworkDocument(`links:\n  - name: a\n    kind: bond\n    bondMaster: {mode: ${word}}\n`),
  'network family': (word) => checkNetworkDocument(`addresses:\n  - address: 1.2.3.4/8\n    family: ${word}\n`),
  'META key': (word) => parseMetaValue(`${word}=1`),
  architecture: (word) =>
    configFits({ os: 'linux', architecture: word, variant: 'v9' }, { os: 'linux', architecture: word }),
  'mirrored host': (word) => parseMirrors([`${word}:80=http://a`, `${word}=http://b`, `${word}=oci:c`]),
  'endpoints of a host': (word) => [endpointsOf(word, {}), layoutsOf(word, {})],
  'reference host': (word) => parseReference(`${word}:80/a:b`),
  'challenge scheme': (word) => chooseChallenge(parseChallenges([`${word} ${word}="1"`])),
  'credential host': (word) => parseDockerConfig(`{"auths": {"${word}": {}}, "credHelpers": {"${word}": "a"}}`, 'c'),
  'hosts.toml key': (word) => parseHostsToml(`${word} = 1\n[host."https://a"]\n${word} = 1\n`, 'f'),
  'extension of a catalog': (word) => findExtension([parseCatalog(CATALOG, 'c')], parseWantedExtension(word)),
  'catalog key': (word) => parseCatalog(`- ${word}: 1\n`, 'c'),
  'overlay catalog key': (word) => parseOverlayCatalog(`overlays:\n  - ${word}: 1\n`, 'c'),
  'manifest key': (word) => parseManifest(`version: v1alpha1\nmetadata:\n  ${word}: 1\n`, 'm'),
  'profile key': (word) => parseProfile(`${word}: 1\n`),
  'profile kind': (word) => parseProfile(`arch: amd64\noutput:\n  kind: ${word}\n`),
  'profile format': (word) =>
    parseProfile(`output:\n  kind: image\n  outFormat: ${word}\n  imageOptions: {diskFormat: ${word}}\n`),
  'profile name': (word) => resolveProfile({ baseProfileName: word }),
  'YAML key': (word) => parseYaml(`${word}: {${word}: 1}\n`),
  'YAML tag': (word) => parseYaml(`a: !!${word} 1\n`),
  'YAML anchor': (word) => parseYaml(`a: *${word}\n`),
};

type Outcome = 'a value' | 'an ImagerError';

function outcome(lookUp: (word: string) => unknown, word: string): Outcome {
  try {
    lookUp(word);
    return 'a value';
  } catch (error) {
    assert.ok(error instanceof ImagerError, `${word}: ${error}`);
    return 'an ImagerError';
  }
}

for (const [what, lookUp] of Object.entries(LOOK_UPS)) {
  test(`${what}: words that every object knows are unknown`, () => {
    for (const word of WORDS) assert.equal(outcome(lookUp, word), outcome(lookUp, unknown(word)), word);
  });
}

test('problems of such words are those of an unknown word', () => {
  const found = (word: string): string =>
    JSON.stringify([
      checkMachineConfig(document('VolumeConfig', `name: ${word}`), 'c').problems,
      checkKernelArguments(`bond=b:eth0:${word}=1 talos.platform=${word} talos.device.settle_time=1${word}`),
    ]).replaceAll(word, '*');
  for (const word of ['constructor', 'toString', 'valueOf']) assert.equal(found(word), found(unknown(word)), word);
});
