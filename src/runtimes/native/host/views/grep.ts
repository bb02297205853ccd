import * as fs from 'node:fs';
import type { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { fileFilter, grepFiles, maxSearched, type SearchedFile, searchedText } from '../../../grep.ts';
import type { GrepOptions, GrepResult } from '../../../runtime.ts';
import { bytes } from '../layers/bytePaths.ts';
import { normal } from './viewFiles.ts';
import { walk } from './walk.ts';

const { O_RDONLY, O_NOFOLLOW } = fs.constants;

export function grepView(root: LinuxRootedFolder, options: GrepOptions): Promise<GrepResult> {
  return grepFiles(searchedFiles(root, options), options);
}

async function* searchedFiles(root: LinuxRootedFolder, options: GrepOptions): AsyncGenerator<SearchedFile> {
  const start = normal(options.path);
  const wanted = fileFilter(start, options.glob);
  if (root.stat(start).isFile()) {
    const text = readText(() => root.openFile(start));
    if (text !== undefined) yield { path: start, text };
    return;
  }
  for await (const entry of walk(root, start, () => true, options.signal)) {
    if (!entry.type.isFile() || !wanted(entry.path)) continue;
    const text = readText(() => fs.openSync(bytes(entry.place), O_RDONLY | O_NOFOLLOW));
    if (text !== undefined) yield { path: entry.path, text };
  }
}

/** undefined: too large, binary, or not for us to read. */
function readText(open: () => number): string | undefined {
  let fd: number;
  try {
    fd = open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
  try {
    if (fs.fstatSync(fd).size > maxSearched) return undefined;
    return searchedText(fs.readFileSync(fd));
  } finally {
    fs.closeSync(fd);
  }
}
