import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { eventually } from '../../harness/eventually.ts';
import { injectedDelay } from '../delay.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, reasonOf, timed } from '../measure.ts';
import type { Row } from '../row.ts';
import { extension } from './activation.ts';
import type { EditorOrder } from './order.ts';

/** Calls `tell` whenever something about the saved file comes to be known; answers with how that ends. */
type Listen = (tell: () => void) => Promise<() => unknown>;

/** What is asked of the package, which lies apart. */
interface ParcelWatcher {
  subscribe(folder: string, listener: (error: Error | null) => void): Promise<{ unsubscribe(): Promise<void> }>;
}

/** Goal 13: what passes from saving a file of the workspace until somebody who listens is told. */
export async function announcedRow({ turns, packages }: EditorOrder): Promise<Row> {
  const ours = 'coppice: until the new state is announced';
  const { connection, sync } = await extension.activate();
  await connection.client(); // The first use, from which on the workspace is watched.
  const folder = vscode.workspace.workspaceFolders![0]!;
  const file = vscode.Uri.joinPath(folder.uri, 'd3', 's3', 'f1260.ts');
  writeFileSync(file.fsPath, 'a text, which an editor opens\n');
  const status = () => sync.of(folder)?.status;
  await eventually('the first state', () => status()?.kind === 'watching' && status()?.state !== undefined, 120);
  const saves = new Saves(file, () => !status()?.syncing);
  await using stack = new AsyncDisposableStack();
  const contender = async (name: string, kind: 'ours' | 'peer', listen: Listen): Promise<Contender> => {
    const line = { name, kind, isolation: isolation.extensionHost };
    try {
      let tell = () => {};
      stack.defer((await listen(() => tell())) as () => Promise<void>);
      return { ...line, once: () => saves.once(heard => (tell = heard)) };
    } catch (error) {
      if (kind === 'ours') throw error;
      return { ...line, absent: reasonOf(error) };
    }
  };
  const announced: Listen = async tell => {
    let last = status()?.state?.directory_state_id;
    const listener = sync.onDidChange(() => {
      const id = status()?.state?.directory_state_id;
      if (id !== last) void injectedDelay().then(tell);
      last = id;
    });
    return () => listener.dispose();
  };
  const editorsOwn: Listen = async tell => {
    const watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(folder, '**/*.ts'));
    watcher.onDidChange(tell);
    return () => watcher.dispose();
  };
  const parcel: Listen = async tell => {
    const { subscribe } = createRequire(`${packages}/`)('@parcel/watcher') as ParcelWatcher;
    const subscription = await subscribe(folder.uri.fsPath, error => error ?? tell());
    return () => subscription.unsubscribe();
  };
  const contenders = [
    await contender(ours, 'ours', announced),
    await contender('VS Code’s own watcher: the event alone, no state', 'peer', editorsOwn),
    await contender('Parcel’s watcher: the event alone, no state', 'peer', parcel),
  ];
  return {
    goal: 13,
    title: 'a save in the editor → told, workspace of 10,000 files',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [{ line: ours, atMost: 150 }],
    notes: ['60 ms of ours wait for the end of a burst of changes'],
  };
}

/** One file, saved again and again. All who listen hear every save, and one of them is waited for. */
class Saves {
  readonly #file: vscode.Uri;
  readonly #isQuiet: () => boolean;
  #counter = 0;

  constructor(file: vscode.Uri, isQuiet: () => boolean) {
    this.#file = file;
    this.#isQuiet = isQuiet;
  }

  /** Milliseconds of the save itself and of what follows from it. */
  async once(waitFor: (heard: () => void) => void): Promise<number> {
    const document = await this.#change();
    try {
      return await timed(async () => {
        const heard = new Promise<void>(resolve => waitFor(resolve));
        await document.save();
        await heard;
      });
    } finally {
      waitFor(() => {});
      // Also the slowest has heard of this one before the next.
      await sleep(250);
      await eventually('the sync has ended', this.#isQuiet);
    }
  }

  async #change(): Promise<vscode.TextDocument> {
    const document = await vscode.workspace.openTextDocument(this.#file);
    const edit = new vscode.WorkspaceEdit();
    edit.replace(this.#file, new vscode.Range(0, 0, document.lineCount, 0), `saved ${++this.#counter}\n`);
    await vscode.workspace.applyEdit(edit);
    return document;
  }
}
