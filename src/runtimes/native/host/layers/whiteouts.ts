import { TarError } from './tarError.ts';
import { shown } from './tarHeader.ts';

const prefix = '.wh.';

/**
 * What an entry of an OCI layer hides, by its name alone. `ignored`: what AUFS kept of its own, and tools of its time put
 * into layers.
 */
export function whiteoutOf(steps: readonly string[]): { readonly name: string } | 'opaque' | 'ignored' | undefined {
  const last = steps.length - 1;
  const first = steps.findIndex(step => step.startsWith(prefix));
  if (first < 0) return undefined;
  if (steps[first]!.startsWith('.wh..wh.'))
    return first === last && steps[first] === '.wh..wh..opq' ? 'opaque' : 'ignored';
  const name = steps[first]!.slice(prefix.length);
  if (first < last || name === '' || name === '.' || name === '..')
    throw new TarError(`${shown(steps.join('/'))} is no name that a layer may have`);
  return { name };
}
