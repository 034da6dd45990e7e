/** Progress on standard error: bars on a terminal, plain lines in a log, JSON lines for a program. */
import type { ProgressEvent } from '../pipeline/progress.ts';
import type { OnVerification } from '../pipeline/verify-image.ts';
import type { Io, Terminal } from './io.ts';

export type ProgressStyle = 'bars' | 'plain' | 'json' | 'none';

export interface Progress {
  /** A stage or an amount of one. */
  report(event: ProgressEvent): void;
  /** A line that stays. */
  note(text: string): void;
  warn(text: string): void;
  /** An image that is fetched may be used. */
  readonly verified: OnVerification;
  /** Leaves the terminal as a reader expects it, and says nothing any more. Once or several times. */
  finish(): void;
}

/** `auto` is bars on a terminal and plain lines elsewhere. */
export function chooseStyle(wish: string | undefined, quiet: boolean, terminal: Terminal): ProgressStyle {
  if (quiet) return 'none';
  if (wish !== undefined && wish !== 'auto') return wish as ProgressStyle;
  return terminal.isTTY ? 'bars' : 'plain';
}

/** What one style of progress does; the rest is common. */
type Display = Omit<Progress, 'finish' | 'verified'> & { readonly close: () => void };

/** Tells of a signal too: what is under way may take a moment to stop. */
export async function startProgress(
  style: ProgressStyle,
  io: Pick<Io, 'stderr' | 'now' | 'signal'>,
): Promise<Progress> {
  const display = await displayOf(style, io);
  // Several images may be judged by one root that is old.
  const said = new Set<string>();
  const warn = (text: string): void => {
    if (!said.has(text)) display.warn(text);
    said.add(text);
  };
  const stopping = (): void => display.note('stopping (a second signal stops at once)');
  io.signal.addEventListener('abort', stopping);
  return {
    report: (event) => display.report({ ...event, task: withShortDigests(event.task) }),
    note: display.note,
    warn,
    verified({ image, status, subject }, warnings) {
      if (status === 'verified') display.note(`verified ${image}: signed by ${subject ?? 'the key'}`);
      warnings.forEach(warn);
    },
    finish() {
      io.signal.removeEventListener('abort', stopping);
      display.close();
    },
  };
}

async function displayOf(style: ProgressStyle, io: Pick<Io, 'stderr' | 'now'>): Promise<Display> {
  switch (style) {
    case 'bars':
      return bars(io.stderr);
    case 'plain':
      return plainLines(io.stderr);
    case 'json':
      return jsonLines(io);
    case 'none':
      return {
        report: () => undefined,
        note: () => undefined,
        warn: (text) => io.stderr.write(`warning: ${text}\n`),
        close: () => undefined,
      };
  }
}

/** Twelve digits tell layers apart. */
function withShortDigests(text: string): string {
  return text.replace(/(sha(?:256|512):[0-9a-f]{12})[0-9a-f]+/g, '$1');
}

/** Redraws at most this often, milliseconds: a terminal cannot show more and a slow one must not brake the build. */
const REDRAW_INTERVAL = 80;

async function bars(terminal: Terminal): Promise<Display> {
  // Large, and logs never need it.
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(terminal.stream);
  const tasks = new Map<string, ProgressEvent>();
  let drawn = 0;
  const draw = (): void => {
    drawn = performance.now();
    update([...tasks.values()].map((task) => barLine(task, terminal.columns)).join('\n'));
  };
  const keep = (text: string): void => {
    update.clear();
    terminal.write(`${text}\n`);
    if (tasks.size > 0) draw();
  };
  return {
    report(event) {
      if (isComplete(event)) {
        tasks.delete(event.task);
        keep(`${event.task}: done${event.unit === 'bytes' ? `, ${formatBytes(event.total)}` : ''}`);
        return;
      }
      tasks.set(event.task, event);
      if (performance.now() - drawn >= REDRAW_INTERVAL) draw();
    },
    note: keep,
    warn: (text) => keep(`warning: ${text}`),
    close() {
      tasks.clear();
      update.clear();
      update.done();
    },
  };
}

function barLine(event: ProgressEvent, columns: number): string {
  const share = event.total > 0 ? Math.min(1, event.done / event.total) : 0;
  const width = Math.max(10, Math.min(30, columns - 60));
  const filled = Math.round(share * width);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${percent}`;
  return `${bar} ${event.task}${amountOf(event)}`.slice(0, columns - 1);
}

function amountOf(event: ProgressEvent): string {
  return event.unit === 'bytes' ? ` ${formatBytes(event.done)} of ${formatBytes(event.total)}` : '';
}

/** One line when a task begins and one when it ends: a log wants neither bars nor a line per megabyte. */
function plainLines(terminal: Terminal): Display {
  const begun = new Set<string>();
  const line = (text: string): void => terminal.write(`${text}\n`);
  return {
    report(event) {
      if (isComplete(event)) {
        begun.delete(event.task);
        line(`${event.task}: done${event.unit === 'bytes' ? `, ${formatBytes(event.total)}` : ''}`);
      } else if (!begun.has(event.task)) {
        begun.add(event.task);
        line(`${event.task} ...`);
      }
    },
    note: line,
    warn: (text) => line(`warning: ${text}`),
    close: () => undefined,
  };
}

/** One line per percent. */
function jsonLines(io: Pick<Io, 'stderr' | 'now'>): Display {
  const line = (value: object): void => io.stderr.write(`${JSON.stringify({ time: io.now(), ...value })}\n`);
  const last = new Map<string, number>();
  return {
    report(event) {
      const percent = event.total > 0 ? Math.floor((100 * event.done) / event.total) : 0;
      if (last.get(event.task) === percent) return;
      last.set(event.task, percent);
      line({ type: 'progress', ...event });
    },
    note: (message) => line({ type: 'note', message }),
    warn: (message) => line({ type: 'warning', message }),
    close: () => undefined,
  };
}

function isComplete({ done, total }: ProgressEvent): boolean {
  return total > 0 && done >= total;
}

/** Binary units with one decimal: `97.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}
