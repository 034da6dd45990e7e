/** Installer images of upstream, and the layouts they were made from. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { vectorFile, vectorLines } from './vectors.ts';

export interface InstallerCase {
  readonly id: string;
  readonly imager: string;
  readonly profile: string;
  readonly sourceDateEpoch: string;
  readonly rc: number;
  readonly errorLine?: string;
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

type Layouts = Readonly<Record<string, Readonly<Record<string, string>>>>;

const LAYOUTS = JSON.parse(vectorFile('images/installer-inputs.json.gz').toString()) as Layouts;

/** Writes the layout that profiles call `/oci/<name>` below `directory` and returns its path. */
export async function writeVectorLayout(directory: string, name: string): Promise<string> {
  const layout = join(directory, name);
  for (const [path, content] of Object.entries(LAYOUTS[name]!)) {
    await mkdir(dirname(join(layout, path)), { recursive: true });
    await writeFile(join(layout, path), Buffer.from(content, 'base64'));
  }
  return layout;
}
