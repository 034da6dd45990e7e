/** An emulated machine whose first serial port we listen to. */
import { spawn } from 'node:child_process';

export interface Boot {
  /** `qemu-system-x86_64`, `qemu-system-aarch64`. */
  readonly program: string;
  /** Besides those for an empty machine: firmware, disks. */
  readonly args: readonly string[];
  /** Milliseconds before the machine is switched off. */
  readonly timeout: number;
}

/**
 * What the machine wrote to its serial port until it restarted or switched itself off. Throws with the text when the time
 * is over first. The processor is emulated too: firmware and boot loaders change modes so often that nested KVM takes a
 * minute for what emulation does in a second.
 */
export async function bootSerial(boot: Boot): Promise<string> {
  const common = ['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-m', '512', '-accel', 'tcg'];
  const child = spawn(boot.program, [...common, ...boot.args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('latin1');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), boot.timeout);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${boot.program} ended with ${code ?? 'a kill'} after:\n${text}\n${errors}`);
  return text;
}
