/** `scripts/boot-qemu IMAGE`: boots an image with its serial line on this terminal. */
import { parseArgs } from 'node:util';
import { bootInQemu, type Firmware, type Medium } from '../../test/support/qemu.ts';

const FIRMWARES: readonly Firmware[] = ['seabios', 'ovmf', 'ovmf-secureboot', 'aavmf'];
const KINDS = ['cd', 'disk', 'usb', 'nvme', 'virtio'] as const;

const USAGE = `usage: scripts/boot-qemu IMAGE [--firmware NAME] [--as MEDIUM] [--timeout SECONDS]

Boots an image made from scripts/demo-assets, shows its serial line and, as JSON on standard output, what it reported.

  --firmware NAME    ${FIRMWARES.join(', ')} (ovmf)
  --as MEDIUM        ${KINDS.join(', ')} (cd for .iso, else disk)
  --timeout SECONDS  when to give up (180)`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      firmware: { type: 'string', default: 'ovmf' },
      as: { type: 'string' },
      timeout: { type: 'string', default: '180' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [image] = positionals;
  const firmware = FIRMWARES.find((one) => one === values.firmware);
  const kind = KINDS.find((one) => one === (values.as ?? (image?.endsWith('.iso') ? 'cd' : 'disk')));
  const timeoutSeconds = Number(values.timeout);
  const usable = positionals.length === 1 && firmware !== undefined && kind !== undefined && timeoutSeconds > 0;
  if (values.help || !usable) {
    (values.help ? process.stdout : process.stderr).write(`${USAGE}\n`);
    return values.help ? 0 : 1;
  }
  const medium: Medium = { kind, image: image! };
  const { serial, report, seconds } = await bootInQemu({ firmware, medium, timeoutSeconds });
  process.stderr.write(`${serial}\n`);
  process.stdout.write(`${JSON.stringify({ seconds, ...report }, null, 2)}\n`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`boot-qemu: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
