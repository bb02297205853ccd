import { openRooted } from '../paths/rooted.ts';
import { RootedError } from '../paths/rootedFolder.ts';
import { CoppiceError } from '../protocol/errors.ts';
import { type LayoutFiles, wholeFile } from './layoutFiles.ts';

/** A layout as a folder of this machine. Nothing outside it is read, whatever links lie in it. */
export function folderFiles(place: string): LayoutFiles {
  const folder = openRooted(place);
  return {
    place,
    open(name) {
      try {
        return wholeFile(folder.openFile(name));
      } catch (error) {
        if (!(error instanceof RootedError)) throw error;
        if (error.code === 'path_not_found') return undefined;
        const code = error.code === 'path_escapes' ? 'path_escapes' : 'import_failed';
        throw new CoppiceError(code, `in ${place}, ${error.message}`, { field: 'registry_url' });
      }
    },
    [Symbol.dispose]: () => folder.close(),
  };
}
