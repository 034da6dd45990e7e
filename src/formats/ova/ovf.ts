/** The OVF 1.0 descriptor of the virtual machine (DMTF DSP0243; what upstream describes: spec boot-and-images 7.3). */
import { MIB } from '../../bytes/units.ts';
import { element, formatXml, type XmlElement } from './xml.ts';

export interface OvfOptions {
  /** Bytes of the disk inside. */
  readonly diskSize: number;
  /** Bytes of the VMDK. */
  readonly vmdkSize: number;
  /** Its name beside the descriptor. */
  readonly vmdkName: string;
}

const NAMESPACES: Readonly<Record<string, string>> = {
  xmlns: 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:cim': 'http://schemas.dmtf.org/wbem/wscim/1/common',
  'xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  'xmlns:vmw': 'http://www.vmware.com/schema/ovf',
  'xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
};

const STREAM_OPTIMIZED = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';
const NETWORK = 'VM Network';
const NOT_REQUIRED = { 'ovf:required': 'false' } as const;

/** Members of an item; rasd names, in the order the schema wants: by the alphabet. */
type ItemFields = Readonly<Record<string, string>>;

interface Item {
  readonly required: boolean;
  readonly fields: ItemFields;
  readonly config?: Readonly<Record<string, string>>;
}

const ITEMS: readonly Item[] = [
  {
    required: true,
    fields: {
      AllocationUnits: 'hertz * 10^6',
      Description: 'Number of Virtual CPUs',
      ElementName: '2 virtual CPU(s)',
      InstanceID: '1',
      ResourceType: '3',
      VirtualQuantity: '2',
    },
  },
  {
    required: true,
    fields: {
      AllocationUnits: 'byte * 2^20',
      Description: 'Memory Size',
      ElementName: '2048MB of memory',
      InstanceID: '2',
      ResourceType: '4',
      VirtualQuantity: '2048',
    },
  },
  {
    required: true,
    fields: {
      Address: '0',
      Description: 'SCSI Controller',
      ElementName: 'scsiController0',
      InstanceID: '3',
      ResourceSubType: 'VirtualSCSI',
      ResourceType: '6',
    },
  },
  {
    required: true,
    fields: {
      AddressOnParent: '0',
      ElementName: 'disk0',
      HostResource: 'ovf:/disk/vmdisk1',
      InstanceID: '4',
      Parent: '3',
      ResourceType: '17',
    },
  },
  {
    required: true,
    fields: {
      AddressOnParent: '2',
      AutomaticAllocation: 'true',
      Connection: NETWORK,
      Description: `VmxNet3 ethernet adapter on "${NETWORK}"`,
      ElementName: 'ethernet0',
      InstanceID: '5',
      ResourceSubType: 'VmxNet3',
      ResourceType: '10',
    },
    config: {
      'slotInfo.pciSlotNumber': '32',
      wakeOnLanEnabled: 'false',
      'connectable.allowGuestControl': 'false',
    },
  },
  {
    required: false,
    fields: { AutomaticAllocation: 'false', ElementName: 'video', InstanceID: '6', ResourceType: '24' },
  },
  {
    required: false,
    fields: {
      AutomaticAllocation: 'false',
      ElementName: 'vmci',
      InstanceID: '7',
      ResourceSubType: 'vmware.vmci',
      ResourceType: '1',
    },
  },
];

const HARDWARE_CONFIG: Readonly<Record<string, string>> = {
  'tools.syncTimeWithHost': 'false',
  'tools.afterPowerOn': 'true',
  'tools.afterResume': 'true',
  'tools.beforeGuestShutdown': 'true',
  'tools.beforeGuestStandby': 'true',
  'tools.toolsUpgradePolicy': 'manual',
  'powerOpInfo.suspendType': 'soft',
};

const EXTRA_CONFIG: Readonly<Record<string, string>> = { nvram: 'talos.nvram', 'disk.EnableUUID': 'true' };

/** UTF-8. The same for all architectures, with SecureBoot and without. */
export function encodeOvf(options: OvfOptions): Uint8Array {
  const { vmdkName, vmdkSize } = options;
  const file = { 'ovf:href': vmdkName, 'ovf:id': 'file1', 'ovf:size': String(vmdkSize) };
  const root = element('Envelope', { 'vmw:buildId': 'build-7948156', ...NAMESPACES }, [
    element('References', {}, [element('File', file)]),
    element('DiskSection', {}, [info('Virtual disk information'), disk(options.diskSize)]),
    element('NetworkSection', {}, [
      info('The list of logical networks'),
      element('Network', { 'ovf:name': NETWORK }, [text('Description', `The ${NETWORK} network`)]),
    ]),
    virtualSystem(),
  ]);
  return new TextEncoder().encode(formatXml(root));
}

function disk(size: number): XmlElement {
  // Upstream counts in MiB and cuts; a disk that is not whole MiB is counted in bytes instead of being made smaller.
  const inMib = size % MIB === 0;
  return element('Disk', {
    'ovf:capacity': String(inMib ? size / MIB : size),
    'ovf:capacityAllocationUnits': inMib ? 'byte * 2^20' : 'byte',
    'ovf:diskId': 'vmdisk1',
    'ovf:fileRef': 'file1',
    'ovf:format': STREAM_OPTIMIZED,
  });
}

function virtualSystem(): XmlElement {
  return element('VirtualSystem', { 'ovf:id': 'vm' }, [
    info('A virtual machine'),
    text('Name', 'talos'),
    element('ProductSection', NOT_REQUIRED, [info('Talos Virtual Appliance'), configProperty()]),
    element('OperatingSystemSection', { 'ovf:id': '101', 'vmw:osType': 'other3xLinux64Guest' }, [
      info('The kind of installed guest operating system'),
    ]),
    element('VirtualHardwareSection', { 'ovf:transport': 'com.vmware.guestInfo' }, [
      info('Virtual hardware requirements'),
      element('System', {}, [
        text('vssd:ElementName', 'Virtual Hardware Family'),
        text('vssd:InstanceID', '0'),
        text('vssd:VirtualSystemIdentifier', 'talos'),
        text('vssd:VirtualSystemType', 'vmx-15'),
      ]),
      ...ITEMS.map(itemElement),
      ...settings('vmw:Config', HARDWARE_CONFIG),
      ...settings('vmw:ExtraConfig', EXTRA_CONFIG),
    ]),
  ]);
}

/** What the user fills in: Talos reads its machine configuration from there. */
function configProperty(): XmlElement {
  const attributes = {
    'ovf:userConfigurable': 'true',
    'ovf:type': 'string',
    'ovf:key': 'talos.config',
    'ovf:value': '',
  };
  return element('Property', attributes, [
    text('Label', 'Talos config data'),
    text('Description', 'Inline Talos config'),
  ]);
}

function itemElement({ required, fields, config = {} }: Item): XmlElement {
  return element('Item', required ? {} : NOT_REQUIRED, [
    ...Object.entries(fields).map(([name, value]) => text(`rasd:${name}`, value)),
    ...settings('vmw:Config', config),
  ]);
}

function settings(name: string, values: Readonly<Record<string, string>>): XmlElement[] {
  return Object.entries(values).map(([key, value]) => {
    return element(name, { ...NOT_REQUIRED, 'vmw:key': key, 'vmw:value': value });
  });
}

function info(value: string): XmlElement {
  return text('Info', value);
}

function text(name: string, value: string): XmlElement {
  return element(name, {}, value);
}
