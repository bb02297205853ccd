import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';

/** What a download's path means inside an image. */
export type ArtifactSource =
  | { readonly kind: 'file' | 'folder'; readonly name: string; readonly entry: FileEntry }
  /** Matches, without those that lie in a folder which matches itself; `base` is the plain start of the pattern. */
  | { readonly kind: 'glob'; readonly base: string; readonly entries: readonly FileEntry[] };

const MAX_LINKS = 40;
const WILD = /[*?[\]{}]/;

/** A path that exists is that path, whatever characters it has; else it may be a pattern. */
export async function findSource(files: ImageFiles, asked: string, signal: AbortSignal): Promise<ArtifactSource> {
  const name = withoutEnd(asked);
  let failure: unknown;
  try {
    return sourceOf(name, await followed(files, name));
  } catch (error) {
    if (!(error instanceof CoppiceError) || error.code !== 'path_not_found' || !WILD.test(name)) throw error;
    failure = error;
  }
  const matches = await files.glob(name, signal);
  if (matches.length === 0)
    throw new CoppiceError('path_not_found', `nothing in the image matches ${name}`, {
      field: 'path',
      fix: `List ${plainStart(name)} to see what is there.`,
      data: { path: name },
      cause: failure,
    });
  return { kind: 'glob', base: plainStart(name), entries: outermost(matches) };
}

function sourceOf(name: string, entry: FileEntry): ArtifactSource {
  if (entry.type === 'file') return { kind: 'file', name: path.posix.basename(name), entry };
  if (entry.type === 'directory') return { kind: 'folder', name: path.posix.basename(name), entry };
  throw new CoppiceError('not_a_file', `${entry.path} is a device, a socket or a pipe`, {
    field: 'path',
    data: { path: entry.path },
  });
}

/** What a name stands for when its last step is a link, or a link to a link. */
export async function followed(files: Pick<ImageFiles, 'stat'>, name: string): Promise<FileEntry> {
  let entry = await files.stat(name);
  for (let links = 0; entry.type === 'link' && links < MAX_LINKS; links++)
    entry = await files.stat(path.posix.resolve(path.posix.dirname(entry.path), entry.link ?? ''));
  if (entry.type !== 'link') return entry;
  throw new CoppiceError('path_not_found', `${name} leads through more than ${MAX_LINKS} links`, { field: 'path' });
}

function withoutEnd(name: string): string {
  const normal = path.posix.normalize(name);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function plainStart(pattern: string): string {
  const steps = pattern.split('/');
  const wild = steps.findIndex(step => WILD.test(step));
  return steps.slice(0, wild < 0 ? -1 : wild).join('/') || '/';
}

function outermost(entries: readonly FileEntry[]): FileEntry[] {
  const folders = new Set(entries.filter(entry => entry.type === 'directory').map(entry => entry.path));
  return entries.filter(entry => {
    for (let above = path.posix.dirname(entry.path); above !== '/'; above = path.posix.dirname(above))
      if (folders.has(above)) return false;
    return true;
  });
}
