/** An emulated machine whose first serial port we listen to. */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GuestReport, lastLines, parseGuestReport } from './guest-report.ts';
import { skipWithout } from './tools.ts';

export interface Boot {
  /** `qemu-system-x86_64`, `qemu-system-aarch64`. */
  readonly program: string;
  /** Besides those for an empty machine: firmware, disks. */
  readonly args: readonly string[];
  /** Milliseconds before the machine is switched off. */
  readonly timeout: number;
  /** Switched off as soon as the serial port has said this. */
  readonly until?: RegExp;
  /** What is typed on the serial port, each once, when it says something. */
  readonly answers?: readonly Answer[];
  /** Let it restart rather than end there: for firmware that restarts to enrol keys. */
  readonly restarts?: boolean;
}

export interface Answer {
  readonly when: RegExp;
  readonly type: string;
}

/**
 * What the machine wrote to its serial port until it restarted or switched itself off. Throws with the text when the time
 * is over first. The processor is emulated too: firmware and boot loaders change modes so often that nested KVM takes a
 * minute for what emulation does in a second.
 */
export async function bootSerial(boot: Boot): Promise<string> {
  const common = ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-m', '512', '-accel', 'tcg'];
  if (boot.restarts !== true) common.push('-no-reboot');
  const child = spawn(boot.program, [...common, ...boot.args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let text = '';
  let errors = '';
  let reached = false;
  let unanswered = boot.answers ?? [];
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (const answer of unanswered.filter(({ when }) => when.test(text))) {
      unanswered = unanswered.filter((one) => one !== answer);
      child.stdin.write(answer.type);
    }
    if (boot.until?.test(text) === true) {
      reached = true;
      child.kill('SIGKILL');
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('latin1');
  });
  // Typing into a machine that has just ended is no error.
  child.stdin.on('error', () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), boot.timeout);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearTimeout(timer);
  if (code !== 0 && !reached) {
    throw new Error(`${boot.program} ended with ${code ?? 'a kill'} after:\n${lastLines(text)}\n${errors}`);
  }
  return text;
}

/** `seabios`, `ovmf`: amd64. `ovmf-secureboot`: amd64 in setup mode, keys can be enrolled. `aavmf`: arm64. */
export type Firmware = 'seabios' | 'ovmf' | 'ovmf-secureboot' | 'aavmf';

export type DiskImageFormat = 'raw' | 'qcow2' | 'vmdk';

/** What the machine starts from. Images are never written to. */
export type Medium =
  | { readonly kind: 'cd'; readonly image: string }
  | {
      readonly kind: 'disk' | 'usb' | 'nvme' | 'virtio';
      readonly image: string;
      readonly format?: DiskImageFormat;
      /** Bytes; 512 unless given. `disk` knows no other on amd64. */
      readonly sectorSize?: number;
    }
  | { readonly kind: 'kernel'; readonly kernel: string; readonly initramfs: string; readonly cmdline: string };

/** iPXE, amd64: in the ROM of the network card with BIOS, from a disk with UEFI. The host is 10.0.2.2 to it. */
export interface NetworkMedium {
  readonly kind: 'network';
  /** URL of the script that DHCP names. */
  readonly script: string;
}

export interface BootRequest {
  readonly firmware: Firmware;
  readonly medium: Medium | NetworkMedium;
  /** 120 unless given: firmware, loader and kernel are emulated, on a machine that others use too. */
  readonly timeoutSeconds?: number;
  /** Beside the Enter that takes the default of a systemd-boot menu at once. */
  readonly answers?: readonly Answer[];
  /** Further options of QEMU. */
  readonly args?: readonly string[];
  /** MiB; 1024 unless given. */
  readonly memory?: number;
}

export interface BootResult {
  /** All that came over the serial line. */
  readonly serial: string;
  readonly report: GuestReport;
  /** From power-on to the end of the report. */
  readonly seconds: number;
}

/** The end of a report, or of all hope that there will be one. */
const END = /^demo end\r?$|UEFI Interactive Shell|Kernel panic|No bootable (?:option|device)/m;

/** systemd-boot counts down on the serial line; Enter ends that. */
const TAKE_DEFAULT: Answer = { when: /Boot in \d+ s/, type: '\r' };

/** Boots an image that holds the demonstration system and reads its report. Throws with the last serial output when none comes. */
export async function bootInQemu(request: BootRequest): Promise<BootResult> {
  try {
    return await bootOnce(request);
  } catch (error) {
    if (!(error instanceof Error) || !SILENT_KERNEL.test(error.message)) throw error;
    return bootOnce(request);
  }
}

/**
 * The kernel had everything and was started, then nothing: on a machine with far more to do than processors the emulated one lost
 * its timer (2 of some 60 boots, both at a load of 12). What we made has no part after this line; a second try tells.
 */
const SILENT_KERNEL = /EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path\s*$/;

async function bootOnce(request: BootRequest): Promise<BootResult> {
  const { firmware, medium, timeoutSeconds = 120, memory = 1024 } = request;
  const scratch = mkdtempSync(join(tmpdir(), 'bootwright-qemu-'));
  const started = Date.now();
  try {
    const serial = await bootSerial({
      program: programOf(firmware),
      args: [
        ...machineOf(firmware),
        ...firmwareArguments(firmware, scratch),
        ...mediumArguments(firmware, medium, scratch),
        ...['-m', String(memory), '-nic', 'none'],
        ...(request.args ?? []),
      ],
      timeout: timeoutSeconds * 1000,
      until: END,
      answers: [...(request.answers ?? []), TAKE_DEFAULT],
      restarts: firmware === 'ovmf-secureboot',
    });
    return { serial, report: parseGuestReport(serial), seconds: (Date.now() - started) / 1000 };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** A `skip` option: emulator and firmware for all of these are here; their absence fails where `CI` is set. */
export function skipWithoutQemu(...firmwares: readonly Firmware[]): string | false {
  const missing = skipWithout(...new Set(firmwares.map(programOf)));
  if (missing !== false) return missing;
  const absent = firmwares.filter((firmware) => firmware !== 'seabios' && firmwareFiles(firmware) === undefined);
  if (absent.length === 0) return false;
  const reason = `needs firmware ${absent.join(', ')}`;
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: install ovmf, qemu-efi-aarch64`);
  return reason;
}

function programOf(firmware: Firmware): string {
  return firmware === 'aavmf' ? 'qemu-system-aarch64' : 'qemu-system-x86_64';
}

/** Without cmpxchg16b: in QEMU 7.2 its emulation lets a kernel panic in its allocator, or stop without a word, now and then. */
const AMD64_CPU = ['-cpu', 'qemu64,-cx16'];

function machineOf(firmware: Firmware): string[] {
  switch (firmware) {
    case 'aavmf':
      // Later processors have pointer authentication, which costs emulation half its speed.
      return ['-machine', 'virt', '-cpu', 'cortex-a72'];
    case 'ovmf-secureboot':
      return ['-machine', 'q35,smm=on', '-global', 'driver=cfi.pflash01,property=secure,value=on', ...AMD64_CPU];
    default:
      return ['-machine', 'q35', ...AMD64_CPU];
  }
}

/** Code and variables as Debian and Ubuntu name them, newest form first. */
const FIRMWARE_FILES: Readonly<Record<Exclude<Firmware, 'seabios'>, readonly (readonly [string, string])[]>> = {
  ovmf: [
    ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
    ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ],
  'ovmf-secureboot': [
    ['/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
    ['/usr/share/OVMF/OVMF_CODE.secboot.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ],
  aavmf: [
    ['/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
    ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
  ],
};

function firmwareFiles(firmware: Exclude<Firmware, 'seabios'>): readonly [string, string] | undefined {
  return FIRMWARE_FILES[firmware].find((files) => files.every((file) => existsSync(file)));
}

function firmwareArguments(firmware: Firmware, scratch: string): string[] {
  if (firmware === 'seabios') return [];
  const files = firmwareFiles(firmware);
  if (files === undefined) throw new Error(`firmware ${firmware}: not installed`);
  const variables = join(scratch, 'variables.fd');
  copyFileSync(files[1], variables);
  return [
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${files[0]}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${variables}`],
  ];
}

function mediumArguments(firmware: Firmware, medium: Medium | NetworkMedium, scratch: string): string[] {
  if (medium.kind === 'kernel') {
    return ['-kernel', medium.kernel, '-initrd', medium.initramfs, '-append', medium.cmdline];
  }
  if (medium.kind === 'network') return networkArguments(firmware, medium.script, scratch);
  const { format = 'raw' } = medium.kind === 'cd' ? {} : medium;
  const drive = `if=none,id=medium,format=${format},file=${medium.image.replaceAll(',', ',,')}`;
  if (medium.kind === 'cd') {
    const bus = firmware === 'aavmf' ? ['-device', 'virtio-scsi-pci', '-device', 'scsi-cd'] : ['-device', 'ide-cd'];
    return ['-drive', `${drive},media=cdrom,readonly=on`, ...withDrive(bus, '')];
  }
  const { kind, sectorSize = 512 } = medium;
  const sectors = sectorSize === 512 ? '' : `,logical_block_size=${sectorSize},physical_block_size=${sectorSize}`;
  return ['-drive', `${drive},snapshot=on`, ...withDrive(diskDevice(firmware, kind), sectors)];
}

/** Files of the packages ipxe-qemu and ipxe. */
const IPXE_ROM = '/usr/lib/ipxe/qemu/pxe-e1000.rom';
const IPXE_EFI = '/usr/lib/ipxe/ipxe.efi';

/** A `skip` option for the medium `network`. */
export function skipWithoutIpxe(): string | false {
  const absent = [IPXE_ROM, IPXE_EFI].filter((file) => !existsSync(file));
  if (absent.length === 0) return false;
  const reason = `needs ${absent.join(', ')}`;
  if ((process.env.CI ?? '') !== '') throw new Error(`${reason}: install ipxe, ipxe-qemu`);
  return reason;
}

/** DHCP names the script, which iPXE loads instead of a boot program. */
function networkArguments(firmware: Firmware, script: string, scratch: string): string[] {
  const network = ['-netdev', `user,id=network,bootfile=${script.replaceAll(',', ',,')}`];
  const card = 'e1000,netdev=network';
  if (firmware === 'seabios') return [...network, '-device', `${card},romfile=${IPXE_ROM},bootindex=0`];
  // The ROM for UEFI is a driver only, and firmware that loads a boot program by DHCP would get the script.
  const directory = join(scratch, 'esp');
  mkdirSync(join(directory, 'EFI/BOOT'), { recursive: true });
  copyFileSync(IPXE_EFI, join(directory, 'EFI/BOOT/BOOTX64.EFI'));
  const disk = ['-drive', `if=none,id=medium,format=raw,readonly=on,file=fat:${directory}`];
  return [...network, '-device', card, ...disk, '-device', 'virtio-blk-pci,drive=medium,bootindex=0'];
}

function diskDevice(firmware: Firmware, kind: 'disk' | 'usb' | 'nvme' | 'virtio'): string[] {
  switch (kind) {
    case 'disk':
      return ['-device', firmware === 'aavmf' ? 'virtio-blk-pci' : 'ide-hd'];
    case 'usb':
      return ['-device', 'qemu-xhci', '-device', 'usb-storage'];
    case 'nvme':
      return ['-device', 'nvme,serial=demo'];
    case 'virtio':
      return ['-device', 'virtio-blk-pci'];
  }
}

/** The last device gets the medium and is started from first. */
function withDrive(devices: readonly string[], properties: string): string[] {
  return [...devices.slice(0, -1), `${devices.at(-1)},drive=medium,bootindex=0${properties}`];
}
