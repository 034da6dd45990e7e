/** A line of what `imager doctor` found. */
export interface Finding {
  readonly subject: string;
  readonly state: 'good' | 'note' | 'bad';
  readonly detail: string;
}
