/** Prints the directory with the demonstration image's GRUB modules, for `GRUB_DIRECTORIES`. Nothing where it cannot be made. */
import { demoGrubDirectory, skipWithoutDemoAssets } from '../../test/support/demo-assets.ts';

if (skipWithoutDemoAssets() === false) process.stdout.write(await demoGrubDirectory());
