import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { type Extract, extract } from 'tar-stream';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import { globMatcher, plainStart } from '../glob.ts';
import { fileFilter, grepFiles, maxSearched, type SearchedFile, searchedText } from '../grep.ts';
import type { GrepOptions, GrepResult, ImageFiles } from '../runtime.ts';
import type { Place, Places } from './places.ts';
import { fileEntry, normal, notAFile, notAFolder, shown, type TreeEntry } from './tree.ts';

const maxPage = 16 * 1024 * 1024;
/** A file that is read page by page comes from the daemon once. */
const maxKept = 64 * 1024 * 1024;

/** An image's files, by way of a container that is made and never started. */
export class DockerFiles implements ImageFiles {
  readonly #image: string;
  readonly #places: Places;

  constructor(image: string, places: Places) {
    this.#image = image;
    this.#places = places;
  }

  stat(path: string): Promise<FileEntry> {
    return this.#use(async place => fileEntry(await place.entry(normal(path))));
  }

  list(path: string): Promise<readonly FileEntry[]> {
    return this.#use(async place => {
      const folder = await place.follow(normal(path));
      if (!folder.isFolder) throw notAFolder(normal(path));
      const tree = await place.tree(folder.path);
      const start = normal(path) === '/' ? '' : shown(normal(path));
      return tree
        .children(folder.path)
        .map(entry => fileEntry(entry))
        .map(entry => ({ ...entry, path: `${start}/${entry.name}` }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  read(path: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number }> {
    return this.#use(async place => {
      const file = await place.follow(normal(path));
      if (!file.isFile) throw notAFile(normal(path));
      const wanted = Math.max(0, Math.min(length, maxPage, file.size - offset));
      if (file.size > maxKept) return { bytes: await place.part(file.path, offset, wanted), size: file.size };
      const content = await place.content(file.path, file.size);
      return { bytes: content.subarray(offset, offset + wanted), size: file.size };
    });
  }

  glob(pattern: string, signal?: AbortSignal): Promise<readonly FileEntry[]> {
    return this.#use(async place => {
      const whole = shown(normal(pattern));
      const start = plainStart(whole);
      const matcher = globMatcher(whole);
      const folder = await place.followIfThere(normal(start));
      if (!folder) return [];
      if (start === whole) return [fileEntry(await place.entry(normal(whole)))];
      if (!folder.isFolder) return [];
      const tree = await place.tree(folder.path, signal);
      const found: FileEntry[] = [];
      const walk = (at: string, name: string) => {
        for (const entry of tree.children(at)) {
          const path = `${name}/${shown(posix.basename(entry.path))}`;
          if (matcher.match(path)) found.push({ ...fileEntry(entry), path });
          if (entry.type === 'directory' && matcher.match(path, true)) walk(entry.path, path);
        }
      };
      walk(folder.path, start === '/' ? '' : start);
      return found;
    });
  }

  grep(options: GrepOptions): Promise<GrepResult> {
    return this.#use(place => grepFiles(searchedFiles(place, options), options));
  }

  archive(path: string, signal?: AbortSignal): Promise<NodeJS.ReadableStream> {
    return this.#places.open(this.#image, async place => {
      const asked = normal(path);
      await place.entry(asked);
      const archive = await place.archive(asked);
      const abort = () => archive.destroy(new Error('the archive is not wanted any more'));
      signal?.addEventListener('abort', abort, { once: true });
      archive.once('close', () => signal?.removeEventListener('abort', abort));
      return archive;
    });
  }

  #use<T>(use: (place: Place) => Promise<T>): Promise<T> {
    return this.#places.use(this.#image, use);
  }
}

async function* searchedFiles(place: Place, options: GrepOptions): AsyncGenerator<SearchedFile> {
  const start = normal(options.path);
  const root = await place.follow(start);
  const wanted = fileFilter(shown(start), options.glob);
  const parser = (extract as (options: { filenameEncoding: 'latin1' }) => Extract)({ filenameEncoding: 'latin1' });
  const archive = await place.archive(root.path);
  archive.on('error', error => parser.destroy(error));
  archive.pipe(parser);
  const top = posix.dirname(root.path);
  try {
    for await (const entry of parser) {
      const name = below(posix.resolve(root.path === '/' ? '/' : top, entry.header.name), root, shown(start));
      if (entry.header.type !== 'file' || entry.header.size > maxSearched || !(root.isFile || wanted(name))) {
        entry.resume();
        continue;
      }
      const pieces: Buffer[] = [];
      for await (const piece of entry as unknown as Readable) pieces.push(piece as Buffer);
      const text = searchedText(Buffer.concat(pieces));
      if (text !== undefined) yield { path: name, text };
    }
  } finally {
    archive.destroy();
  }
}

/** Names stay as they were asked for, also where a link led elsewhere. */
function below(path: string, root: Pick<TreeEntry, 'path'>, asked: string): string {
  const rest = root.path === '/' ? path : path.slice(root.path.length);
  return `${asked === '/' ? '' : asked}${shown(rest)}` || '/';
}
