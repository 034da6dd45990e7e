import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMachineConfig } from '../../../src/machineconfig/documents/check.ts';

function errorsOf(kind: string, fields: string): string[] {
  const text = `apiVersion: v1alpha1\nkind: ${kind}\nname: a\n${fields}\n`;
  const { problems } = checkMachineConfig(text, 'f', { partial: true });
  return problems.filter(({ severity }) => severity === 'error').map(({ path, message }) => `${path}: ${message}`);
}

test('overlaps are found among many, wherever they stand', () => {
  const ports = Array.from({ length: 30_000 }, (_, index) => String(2 * index));
  assert.deepEqual(errorsOf('NetworkRuleConfig', `portSelector: {ports: [${ports}], protocol: tcp}`), []);
  const found = errorsOf('NetworkRuleConfig', `portSelector: {ports: [${ports}, 100-101], protocol: tcp}`);
  assert.deepEqual(found, ['portSelector.ports[30000]: overlaps with 100-100']);
});

test('imported routes of BGP do not overlap', () => {
  const routes = (prefixes: string): string[] =>
    errorsOf('BGPInstanceConfig', `localASN: 1\nimportRoutes: [{bgpInstance: b, prefixes: [${prefixes}]}]`);
  assert.deepEqual(routes('10.1.0.0/16, 10.0.0.0/16, "fd00::/8", 10.2.0.0/16'), []);
  assert.deepEqual(routes('10.1.0.0/16, 10.0.0.0/8'), ['importRoutes[0].prefixes[0]: overlaps with 10.0.0.0/8']);
  assert.deepEqual(routes('10.1.0.1/16'), [
    'importRoutes[0].prefixes[0]: want a prefix without bits behind its length',
  ]);
});

test('containers depend on others without a circle', () => {
  const container = (name: string, needs: string): string =>
    `apiVersion: v1alpha1\nkind: ContainerConfig\nname: ${name}\nimage: a.b/c@sha256:${'0'.repeat(64)}\ndependsOn: {containers: [${needs}]}\n`;
  const check = (...texts: string[]): number =>
    checkMachineConfig(texts.join('---\n'), 'f', { partial: true }).problems.length;
  assert.equal(check(container('a', 'b'), container('b', 'c'), container('c', '')), 0);
  assert.equal(check(container('a', 'b'), container('b', 'c'), container('c', 'b')), 2);
  assert.equal(check(container('a', 'b')), 1);
});
