/**
 * What the expressions of machine configuration can name: the environments of upstream 1.14.
 * Fields are those of the messages the node fills in: disks, discovered volumes, links.
 */
import type { CelType } from './types.ts';

export interface Environment {
  readonly variables: Readonly<Record<string, CelType>>;
  readonly functions: Readonly<Record<string, CelFunction>>;
  /** What the expression must give. */
  readonly result: CelType;
}

export interface CelFunction {
  readonly parameters: readonly CelType[];
  readonly result: CelType;
}

const DISK: CelType = {
  message: 'disk',
  fields: {
    ...fields('uint', 'size io_size sector_size'),
    ...fields('bool', 'readonly rotational cdrom'),
    ...fields('string', 'model serial modalias wwid bus_path sub_system transport dev_path pretty_size uuid'),
    ...fields({ list: 'string' }, 'secondary_disks symlinks'),
  },
};

const VOLUME: CelType = {
  message: 'volume',
  fields: {
    ...fields('uint', 'size sector_size io_size block_size filesystem_block_size probed_size partition_index offset'),
    ...fields('string', 'name uuid label partition_uuid partition_type partition_label type device_path parent'),
    ...fields('string', 'dev_path parent_dev_path pretty_size'),
  },
};

const LINK: CelType = {
  message: 'link',
  fields: {
    ...fields('uint', 'index link_index flags mtu master_index'),
    ...fields('int', 'type operational_state speed_megabits port duplex'),
    ...fields('bytes', 'hardware_addr broadcast_addr permanent_addr'),
    ...fields('string', 'queue_disc kind slave_kind bus_path pciid driver driver_version firmware_version'),
    ...fields('string', 'product_id vendor_id product vendor alias'),
    ...fields('bool', 'link_state'),
    ...fields({ list: 'string' }, 'alt_names'),
    ...fields('dyn', 'vlan bridge_master bond_master wireguard vrf_master'),
  },
};

const SIZES = fields('uint', 'KiB MiB GiB TiB PiB EiB kB MB GB TB PB EB');
const CLASSES = fields('int', 'Besteffort Burstable Guaranteed Podruntime System');
const GLOB: CelFunction = { parameters: ['string', 'string'], result: 'bool' };

/** Pressure stall information of the whole system and of each class of control groups. */
function pressure(): Record<string, CelType> {
  const names = ['some', 'full'].flatMap((kind) =>
    ['avg10', 'avg60', 'avg300', 'total'].map((span) => `memory_${kind}_${span}`),
  );
  const perClass: CelType = { key: 'int', value: 'double' };
  const usage = ['memory_current', 'memory_peak', 'memory_max'];
  return Object.fromEntries([
    ...names.flatMap((name) => [name, `d_${name}`]).map((name) => [name, 'double']),
    ...[...names, ...usage].flatMap((name) => [`qos_${name}`, `d_qos_${name}`]).map((name) => [name, perClass]),
  ]);
}

const CLASS_VALUES: CelType = { key: 'dyn', value: 'double' };

export const ENVIRONMENTS: Readonly<Record<string, Environment>> = {
  disk: { variables: { disk: DISK, system_disk: 'bool', ...SIZES }, functions: { glob: GLOB }, result: 'bool' },
  volume: { variables: { volume: VOLUME, disk: DISK, ...SIZES }, functions: {}, result: 'bool' },
  link: {
    variables: { link: LINK },
    functions: { glob: GLOB, mac: { parameters: ['bytes'], result: 'string' } },
    result: 'bool',
  },
  memory: {
    variables: { ...pressure(), time_since_trigger: 'duration', ...SIZES, ...CLASSES },
    functions: { multiply_qos_vectors: { parameters: [CLASS_VALUES, CLASS_VALUES], result: 'double' } },
    result: 'bool',
  },
  cgroup: {
    variables: {
      ...fields({ optional: 'uint' }, 'memory_max memory_current memory_peak'),
      path: 'string',
      class: 'int',
      ...SIZES,
      ...CLASSES,
    },
    functions: {},
    result: 'double',
  },
};

function fields(type: CelType, names: string): Record<string, CelType> {
  return Object.fromEntries(names.split(' ').map((name) => [name, type]));
}
