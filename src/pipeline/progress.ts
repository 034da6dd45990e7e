/** What a build tells about itself while it runs. */

export interface ProgressEvent {
  /** What is going on, in words a user knows; the same text for the same task. */
  readonly task: string;
  readonly done: number;
  /** 0 while it is unknown. */
  readonly total: number;
  readonly unit: 'bytes' | 'step';
}

export type OnProgress = (event: ProgressEvent) => void;
