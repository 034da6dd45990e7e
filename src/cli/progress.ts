/** Progress on standard error: bars on a terminal, plain lines in a log, JSON lines for a program. */
import { createLogUpdate } from 'log-update';
import type { ProgressEvent } from '../pipeline/progress.ts';
import type { Io, Terminal } from './io.ts';

export type ProgressStyle = 'bars' | 'plain' | 'json' | 'none';

export interface Progress {
  /** A stage or an amount of one. */
  report(event: ProgressEvent): void;
  /** A line that stays. */
  note(text: string): void;
  warn(text: string): void;
  /** Leaves the terminal as a reader expects it; call before anything else is printed. */
  finish(): void;
}

/** `auto` is bars on a terminal and plain lines elsewhere. */
export function chooseStyle(wish: string | undefined, quiet: boolean, terminal: Terminal): ProgressStyle {
  if (quiet) return 'none';
  if (wish !== undefined && wish !== 'auto') return wish as ProgressStyle;
  return terminal.isTTY ? 'bars' : 'plain';
}

export function startProgress(style: ProgressStyle, io: Pick<Io, 'stderr' | 'now'>): Progress {
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
        finish: () => undefined,
      };
  }
}

/** Redraws at most this often, milliseconds: a terminal cannot show more and a slow one must not brake the build. */
const REDRAW_INTERVAL = 80;

function bars(terminal: Terminal): Progress {
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
      if (event.total > 0 && event.done >= event.total) {
        if (tasks.delete(event.task) || event.unit === 'step') keep(`✓ ${event.task}${amountOf(event)}`);
        return;
      }
      tasks.set(event.task, event);
      if (performance.now() - drawn >= REDRAW_INTERVAL) draw();
    },
    note: keep,
    warn: (text) => keep(`warning: ${text}`),
    finish() {
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
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${percent} ${event.task}${amountOf(event)}`.slice(
    0,
    columns - 1,
  );
}

/** One line when a task begins and one when it ends: a log wants neither bars nor a line per megabyte. */
function plainLines(terminal: Terminal): Progress {
  const begun = new Set<string>();
  return {
    report(event) {
      if (!begun.has(event.task)) {
        begun.add(event.task);
        if (event.done < event.total)
          terminal.write(`${event.task}${event.unit === 'bytes' ? ` (${formatBytes(event.total)})` : ''} ...\n`);
      }
      if (event.total > 0 && event.done >= event.total && begun.delete(event.task))
        terminal.write(`${event.task}: done\n`);
    },
    note: (text) => terminal.write(`${text}\n`),
    warn: (text) => terminal.write(`warning: ${text}\n`),
    finish: () => undefined,
  };
}

function jsonLines(io: Pick<Io, 'stderr' | 'now'>): Progress {
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
    finish: () => undefined,
  };
}

function amountOf(event: ProgressEvent): string {
  return event.unit === 'bytes' ? ` ${formatBytes(event.done)} of ${formatBytes(event.total)}` : '';
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
