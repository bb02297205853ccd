import path from 'node:path';
import type { DownloadView } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import { byteSize } from '../views/labels.ts';

/** One thing to take out of one image. */
export interface Wanted {
  readonly image: string;
  /** A file, a folder or a glob. */
  readonly path: string;
  /** Absolute; a slash at its end: into that folder. */
  readonly destination: string;
}

interface Going {
  view: DownloadView;
  readonly abort: AbortController;
}

const ENDED_KEPT = 3;

/** Downloads that people asked for, with their progress. */
export class Downloads {
  readonly #caller: VerbCaller;
  readonly #changed: () => void;
  readonly #going = new Map<number, Going>();
  #counter = 0;

  constructor(caller: VerbCaller, changed: () => void) {
    this.#caller = caller;
    this.#changed = changed;
  }

  get views(): readonly DownloadView[] {
    return [...this.#going.values()].map(({ view }) => view);
  }

  /** Resolves with the places that were written, or undefined when it was cancelled. */
  async start(title: string, wanted: readonly Wanted[]): Promise<readonly string[] | undefined> {
    const download = ++this.#counter;
    const abort = new AbortController();
    const going: Going = { abort, view: { download, title, state: 'going', words: 'starting', fraction: null } };
    this.#going.set(download, going);
    const tell = (change: Partial<DownloadView>) => {
      going.view = { ...going.view, ...change };
      this.#changed();
    };
    tell({});
    try {
      const { places, files, bytes, skipped } = await this.#all(wanted, abort.signal, tell);
      const left = skipped > 0 ? `, ${skipped} skipped` : '';
      tell({
        state: 'done',
        words: `${files} ${files === 1 ? 'file' : 'files'}, ${byteSize(bytes)}${left}`,
        fraction: 1,
      });
      return places;
    } catch (error) {
      if (abort.signal.aborted) {
        tell({ state: 'cancelled', words: 'cancelled', fraction: null });
        return undefined;
      }
      tell({ state: 'failed', words: error instanceof Error ? error.message : String(error), fraction: null });
      throw error;
    } finally {
      this.#forgetOld();
    }
  }

  async #all(wanted: readonly Wanted[], signal: AbortSignal, tell: (change: Partial<DownloadView>) => void) {
    const sum = { places: [] as string[], files: 0, bytes: 0, skipped: 0 };
    for (const [index, { image, path: inside, destination }] of wanted.entries()) {
      signal.throwIfAborted();
      const result = await this.#caller.call(
        'download',
        { image, path: inside, destination },
        {
          signal,
          onProgress: ({ message, done, total }) => {
            const part = done !== undefined && total ? done / total : 0;
            const words = done === undefined ? message : byteSize(sum.bytes + done);
            tell({
              words: words ?? '',
              fraction: wanted.length === 1 && !total ? null : (index + part) / wanted.length,
            });
          },
        },
      );
      sum.places.push(result.destination);
      sum.files += result.files;
      sum.bytes += result.size;
      sum.skipped += result.skipped.length;
    }
    return sum;
  }

  cancel(download: number): void {
    this.#going.get(download)?.abort.abort();
  }

  dispose(): void {
    for (const { abort } of this.#going.values()) abort.abort();
  }

  #forgetOld(): void {
    const ended = [...this.#going.values()].filter(({ view }) => view.state !== 'going');
    for (const { view } of ended.slice(0, -ENDED_KEPT)) this.#going.delete(view.download);
    this.#changed();
  }
}

/** A folder's name for a run: `lr=0.1 epochs=20`. */
export function folderName(number: number, labels: readonly (readonly [string, string])[]): string {
  const words = labels.map(([name, value]) => `${name}=${value}`).join(' ');
  return `${String(number).padStart(3, '0')} ${words}`
    .replaceAll(/[/\\:*?"<>|\u0000-\u001f]/g, '_')
    .slice(0, 100)
    .trim();
}

/** Below `folder`, each where it lies seen from the folder that they have in common; matches of a glob go right into it. */
export function wantedIn(folder: string, image: string, paths: readonly string[]): Wanted[] {
  const plain = paths.filter(inside => !isGlob(inside));
  const shared = commonFolder(plain);
  return paths.map(inside => ({
    image,
    path: inside,
    destination: isGlob(inside) ? folder : path.join(folder, path.posix.relative(shared, inside)),
  }));
}

const isGlob = (inside: string): boolean => /[*?[\]{}]/.test(inside);

function commonFolder(paths: readonly string[]): string {
  const folders = paths.map(inside => path.posix.dirname(inside).split('/'));
  const [first = ['']] = folders;
  let depth = 0;
  while (depth < first.length && folders.every(steps => steps[depth] === first[depth])) depth++;
  return first.slice(0, depth).join('/') || '/';
}
