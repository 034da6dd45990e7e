/** Installer images of upstream, and the layouts they were made from. */
import { join } from 'node:path';
import { vectorLayouts, writeLayoutFiles } from './layout-vectors.ts';
import { type UpstreamRun, vectorLines } from './vectors.ts';

export interface InstallerCase extends UpstreamRun {
  readonly outputs: readonly { readonly name: string; readonly size: number }[];
  readonly cmdline?: string;
  readonly installer?: {
    readonly members: readonly { readonly name: string; readonly mode: string; readonly size: number }[];
    readonly manifestJson: string;
    /** With `<BUILD TIME>` for its time. */
    readonly configJson: string;
    readonly configCreatedExample: string;
    readonly layers: readonly {
      readonly blob: string;
      readonly diffId: string;
      readonly compressedSize: number;
      readonly members: readonly {
        readonly name: string;
        readonly mode: string;
        readonly type: string;
        readonly size: number;
        readonly sha256?: string;
      }[];
    }[];
    readonly ukiSections?: readonly { readonly name: string; readonly sha256: string }[];
  };
}

export const INSTALLER_CASES: readonly InstallerCase[] = vectorLines('images/installer.jsonl.gz');

const LAYOUTS = vectorLayouts('images/installer-inputs.json.gz');

/** Writes the layout that profiles call `/oci/<name>` below `directory` and returns its path. */
export async function writeVectorLayout(directory: string, name: string): Promise<string> {
  const layout = join(directory, name);
  await writeLayoutFiles(layout, LAYOUTS[name]!);
  return layout;
}
