/** The name an installer has when `docker load` brings it in. Source: spec profiles-and-inputs 9.4. */
import { parseReference } from '../oci/reference.ts';

/**
 * That of the base installer, as it was written, with the tag it implies; null for none, where a digest says what it is. `imageRef` is empty
 * when the base has no name. Throws `invalid-input` for a reference that is none.
 */
export function loadedTags(imageRef: string): readonly string[] | null {
  if (imageRef === '') return null;
  const { digest } = parseReference(imageRef);
  if (digest !== undefined) return null;
  const isTagged = imageRef.slice(imageRef.lastIndexOf('/') + 1).includes(':');
  return [isTagged ? imageRef : `${imageRef}:latest`];
}
