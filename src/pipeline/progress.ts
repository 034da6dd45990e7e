/** What a build tells about itself while it runs. */

/** How far a task is. */
export interface ProgressEvent {
  /** What is going on, in words a user knows; the same text for the same task. */
  readonly task: string;
  readonly done: number;
  /** 0 while it is unknown. */
  readonly total: number;
  readonly unit: 'bytes' | 'step';
}

/** Called often and must be quick; what it throws ends the build. */
export type OnProgress = (event: ProgressEvent) => void;
