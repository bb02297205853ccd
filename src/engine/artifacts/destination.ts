import * as fs from 'node:fs';
import path from 'node:path';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { ArtifactSource } from './artifactSource.ts';

/** Where on this machine a download ends up. */
export interface Destination {
  /** Its links resolved as far as it exists. */
  readonly path: string;
  readonly exists: boolean;
  /** The folder beside it, or itself where that is a folder to merge into, where it is put together. */
  readonly staging: string;
}

/**
 * A file goes to that very path, or into it where it is a folder or ends with a slash. A folder becomes that folder, or
 * is merged into it. What a glob matches goes into that folder, below the plain start of the pattern.
 */
export function destinationOf(asked: string, source: ArtifactSource, overwrite: boolean, home: string): Destination {
  if (source.kind === 'file') return fileDestination(asked, source.name, overwrite, home);
  const destination = forFolder(asked);
  refuseHome(destination.path, home);
  return destination;
}

/** `name`: what a file is called that goes into a folder. */
export function fileDestination(asked: string, name: string, overwrite: boolean, home: string): Destination {
  const destination = forFile(asked, name);
  refuseHome(destination.path, home);
  if (destination.exists && !overwrite) throw alreadyThere(destination.path);
  return destination;
}

export function alreadyThere(place: string): CoppiceError {
  return new CoppiceError('already_exists', `${place} is there already`, {
    field: 'destination',
    fix: 'Choose another destination, or allow to overwrite.',
    data: { path: place },
  });
}

/** The engine's own folder is nobody's to write into, however it is reached. `home` has no links in it. */
export function refuseHome(place: string, home: string): void {
  if (place === home || place.startsWith(home + path.sep))
    throw invalidInput('destination', `is in Coppice's own folder: ${place}`, `Choose a folder outside ${home}.`);
}

function forFile(asked: string, name: string): Destination {
  const into = /[\\/]$/.test(asked) || fs.statSync(asked, { throwIfNoEntry: false })?.isDirectory();
  const place = into ? path.join(asked, name) : path.resolve(asked);
  const stats = statThere(place);
  if (stats?.isDirectory())
    throw new CoppiceError('already_exists', `${place} is a folder`, { field: 'destination', data: { path: place } });
  if (stats && !stats.isFile() && !stats.isSymbolicLink())
    throw new CoppiceError('not_a_file', `${place} is no regular file`, { field: 'destination' });
  // Through a link to the file it stands for; a link to nothing is replaced.
  const real = stats?.isFile() ? fs.realpathSync(place) : undefined;
  const { place: resolved, above } = resolveMissing(real ?? place);
  return { path: resolved, exists: stats !== undefined, staging: above };
}

function forFolder(asked: string): Destination {
  const place = path.resolve(asked);
  const stats = statThere(place);
  if (stats && !stats.isDirectory())
    throw new CoppiceError('not_a_directory', `${place} is there and is no folder`, { field: 'destination' });
  if (stats) return { path: fs.realpathSync(place), exists: true, staging: fs.realpathSync(place) };
  const { place: resolved, above } = resolveMissing(place);
  return { path: resolved, exists: false, staging: above };
}

/** What a link stands for; a link to nothing for itself. */
function statThere(place: string): fs.Stats | undefined {
  try {
    return fs.statSync(place, { throwIfNoEntry: false }) ?? fs.lstatSync(place, { throwIfNoEntry: false }) ?? undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The nearest folder above that exists, really, and the place below it. */
function resolveMissing(place: string): { readonly place: string; readonly above: string } {
  const missing = [path.basename(place)];
  let above = path.dirname(place);
  while (!statThere(above)) {
    missing.unshift(path.basename(above));
    above = path.dirname(above);
  }
  if (!fs.statSync(above, { throwIfNoEntry: false })?.isDirectory())
    throw new CoppiceError('not_a_directory', `${above} is no folder`, { field: 'destination' });
  const real = fs.realpathSync(above);
  return { place: path.join(real, ...missing), above: real };
}
