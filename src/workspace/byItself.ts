import { realpathSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';

export interface Places {
  /** COPPICE_HOME. */
  readonly store: string;
  readonly home: string;
  readonly temporary: string;
}

export const placesHere = (store: string): Places => ({ store, home: homedir(), temporary: tmpdir() });

/** Projects live below these, not in them. */
const SHELVES = ['/usr', '/usr/local', '/usr/src', '/var', '/opt', '/srv', '/mnt', '/media', '/Volumes'];
/** No project lives anywhere in these. */
const SYSTEM =
  /^\/(bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|usr\/(local\/)?(bin|include|lib\w*|sbin|share)|var\/(cache|lib|log)|System|Library|Applications|Windows)(\/|$)/;

/**
 * Why a folder does not go along with a run by itself: taking all of a home or of a machine is nobody's wish. undefined: it
 * goes along.
 */
export function whyNotByItself(folder: string, places: Places): string | undefined {
  const at = real(folder);
  const [store, home, temporary] = [places.store, places.home, places.temporary].map(real) as [string, string, string];
  if (at === home) return 'it is your home folder';
  if (holds(at, home) || SHELVES.includes(at) || SYSTEM.test(at)) return 'it is a folder of the system';
  if (at === temporary) return 'it is the folder for temporary files';
  if (holds(at, store) || holds(store, at)) return 'Coppice’s own files are in it';
  return undefined;
}

const holds = (outer: string, inner: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith(path.sep) ? outer : outer + path.sep);

function real(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // A home that nobody made yet holds nothing.
    return path.resolve(folder);
  }
}
