import type { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { RootedError } from '../../../../paths/rooted.ts';
import type { FileEntry } from '../../../../protocol/schemas/files.ts';
import { globMatcher, plainStart } from '../../../glob.ts';
import { bytes } from '../layers/bytePaths.ts';
import { entryAt, fileEntry, normal } from './viewFiles.ts';
import { walk } from './walk.ts';

/**
 * `*`, `?`, `[…]`, `{…}` and `**`, hidden files as well. The plain start of the pattern is a path like any other, links
 * in it are followed; what the wild part finds never leads through a link.
 */
export async function globView(root: LinuxRootedFolder, pattern: string, signal?: AbortSignal): Promise<FileEntry[]> {
  const matcher = globMatcher(normal(pattern));
  const folder = plainStart(normal(pattern));
  const found: FileEntry[] = [];
  try {
    if (folder === normal(pattern)) return [entryAt(root, folder)];
    for await (const entry of walk(root, folder, name => matcher.match(name, true), signal)) {
      if (matcher.match(entry.path)) found.push(fileEntry(entry.path, bytes(entry.place)));
    }
  } catch (error) {
    // A start that is not there matches nothing.
    if (error instanceof RootedError && error.code !== 'too_many_links') return [];
    throw error;
  }
  return found;
}
