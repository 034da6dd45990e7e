/** What is kept of a base installer. Source: spec profiles-and-inputs 9.1. */

/**
 * Images of two layers have the programs in the first and boot assets, which ours replace, in the second; of all others (the base without assets has one)
 * every layer is kept.
 */
export function keptLayers<Layer>(layers: readonly Layer[]): readonly Layer[] {
  return layers.length === 2 ? layers.slice(0, 1) : layers;
}
