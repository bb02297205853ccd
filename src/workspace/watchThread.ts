import { parentPort, workerData } from 'node:worker_threads';
import type { ExcludeOptions } from './excludes.ts';
import { type FolderChange, FolderWatcher, type WatchTrouble } from './folderWatcher.ts';
import { watcherRules } from './watcherRules.ts';

/** What the thread is given, as `workerData`. */
export interface WatchOrder {
  readonly folder: string;
  readonly excludes: ExcludeOptions;
  /** Patterns of VS Code's `files.watcherExclude`: not watched, though synced. */
  readonly unwatched: readonly string[];
  readonly leaveOut: string;
}

export type WatchMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'change'; readonly change: FolderChange }
  | { readonly kind: 'trouble'; readonly trouble: WatchTrouble };

/** A thread of its own: to look through 50,000 files for the first time keeps a thread busy for a second at once. */
async function watch({ folder, excludes, unwatched, leaveOut }: WatchOrder): Promise<void> {
  const tell = (message: WatchMessage) => parentPort!.postMessage(message);
  const watcher = new FolderWatcher({
    folder,
    excludes: { ...excludes, exclude: [...excludes.exclude, ...watcherRules(unwatched, folder)] },
    leaveOut,
    onChange: change => tell({ kind: 'change', change }),
    onTrouble: trouble => tell({ kind: 'trouble', trouble }),
  });
  await watcher.start();
  tell({ kind: 'ready' });
}

if (parentPort) void watch(workerData as WatchOrder);
