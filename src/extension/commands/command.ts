import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import type { AgentName } from '../agents/contributions.ts';
import type { CommandId, ViewId } from '../contributions.ts';
import { asCoppiceError } from '../engineConnection.ts';
import type { FileRow } from '../files/filesView.ts';
import { sentence } from '../views/labels.ts';
import type { OfImage } from './pickImage.ts';

/** A row of a tree that stands for an image. */
export interface ImageThing {
  readonly image: ImageView;
}
export interface OperationThing {
  readonly operation: OperationView;
}

type OnFiles = [file?: vscode.Uri, files?: readonly vscode.Uri[]];
type OnImage = [row: ImageThing];
/** From a key: the id of the view whose selection is meant. */
type OnImages = [row?: ImageThing | ViewId, rows?: readonly ImageThing[]];
type OnOperation = [row?: OperationThing | ViewId];
type OnOperations = [row?: OperationThing | ViewId, rows?: readonly OperationThing[]];
type OnFolder = [folder?: vscode.WorkspaceFolder];

/** What each command is called with. */
export interface CommandArguments {
  readonly 'coppice.runInSandbox': OnFiles;
  readonly 'coppice.runInSandboxAndKeep': OnFiles;
  readonly 'coppice.runWithArguments': [file?: vscode.Uri, words?: unknown];
  readonly 'coppice.runInBackground': OnFiles;
  readonly 'coppice.runSelection': [];
  readonly 'coppice.runScript': [];
  readonly 'coppice.runCommand': [at?: vscode.Uri, command?: unknown];
  readonly 'coppice.runHere': OnImage;
  readonly 'coppice.openParallelRuns': [];
  readonly 'coppice.openInParallelRuns': OnOperations;
  readonly 'coppice.runManyHere': OnImage;
  readonly 'coppice.shell': [at?: vscode.Uri];
  readonly 'coppice.shellHere': OnImage;
  readonly 'coppice.chooseImage': [image?: string | ImageThing];
  readonly 'coppice.changeRunner': [file?: vscode.Uri];
  readonly 'coppice.importHost': [];
  readonly 'coppice.importImage': [source?: string];
  readonly 'coppice.buildImage': [dockerfile?: vscode.Uri, tag?: unknown];
  readonly 'coppice.signIn': [registry?: string];
  readonly 'coppice.copyUuid': OnImages;
  readonly 'coppice.tagImage': [row?: ImageThing | ViewId, tag?: string];
  readonly 'coppice.untagImage': OnImages;
  readonly 'coppice.showLineage': OnImages;
  readonly 'coppice.copyScript': OnImages;
  readonly 'coppice.copyDockerfile': OnImages;
  readonly 'coppice.revealOperation': OnImages;
  readonly 'coppice.exportImage': OnImages;
  readonly 'coppice.removeImage': OnImages;
  readonly 'coppice.cleanUp': [];
  readonly 'coppice.moreImages': [];
  readonly 'coppice.earlierImages': [];
  readonly 'coppice.openOutput': OnOperations;
  readonly 'coppice.cancelOperation': OnOperations;
  readonly 'coppice.cancelAll': [];
  readonly 'coppice.runAgain': OnOperations;
  readonly 'coppice.showResultImage': OnOperation;
  readonly 'coppice.showStartImage': OnOperation;
  readonly 'coppice.copyOperationId': OnOperations;
  readonly 'coppice.moreOperations': [];
  readonly 'coppice.syncNow': OnFolder;
  readonly 'coppice.pauseSync': OnFolder;
  readonly 'coppice.showExcluded': OnFolder;
  readonly 'coppice.syncMenu': [];
  readonly 'coppice.checkout': [];
  readonly 'coppice.newBranch': [image?: ImageThing, name?: string];
  readonly 'coppice.rollback': [image?: ImageThing];
  readonly 'coppice.browseFiles': [row?: OfImage];
  readonly 'coppice.closeFiles': [root: FileRow];
  readonly 'coppice.addToWorkspace': [row?: OfImage | FileRow];
  readonly 'coppice.copyFilePath': [row: FileRow];
  readonly 'coppice.diffFileWithParent': [row: FileRow | vscode.Uri];
  readonly 'coppice.diffWithParent': [row?: OfImage];
  readonly 'coppice.compareImages': [row?: OfImage, other?: ImageThing];
  readonly 'coppice.diffWithWorkspace': [row?: OfImage];
  readonly 'coppice.applyToWorkspace': [row?: OfImage, paths?: readonly string[]];
  readonly 'coppice.download': [row: FileRow, rows?: readonly FileRow[], into?: vscode.Uri];
  readonly 'coppice.downloadFrom': [row?: OfImage, path?: string, into?: vscode.Uri];
  readonly 'coppice.refresh': [];
  readonly 'coppice.showMenu': [];
  readonly 'coppice.showLog': [];
  readonly 'coppice.showEngineLog': [];
  readonly 'coppice.setUpAgent': [agent?: AgentName, answer?: 'write'];
  readonly 'coppice.doctor': [];
  readonly 'coppice.walkthrough': [];
}

/** One handler for each command of `contributions.ts`: a missing one does not compile. */
export type CommandHandlers = {
  readonly [C in CommandId]: (...input: CommandArguments[C]) => Promise<unknown> | unknown;
};

/** What a command is meant for: the rows of a menu, or what is selected in the view that a key was pressed in. */
export function chosen<K extends 'image' | 'operation', T>(
  views: readonly { readonly id: string; readonly selection: readonly object[] }[],
  key: K,
  row: { readonly [P in K]: T } | string | undefined,
  rows: readonly { readonly [P in K]: T }[] | undefined,
): readonly T[] {
  const selected = () => views.find(view => view.id === row)?.selection ?? [];
  const things = row === undefined || typeof row === 'string' ? selected() : Array.isArray(rows) ? rows : [row];
  // A selection may hold headings, too.
  const found = things.filter(thing => key in thing).map(thing => (thing as { readonly [P in K]: T })[key]);
  if (found.length > 0) return found;
  throw new CoppiceError('invalid_input', `no ${key} is selected`, {
    fix: 'Press Enter on one in the Coppice sidebar',
  });
}

export function registerCommands(handlers: CommandHandlers, log: vscode.LogOutputChannel): vscode.Disposable {
  const registrations = Object.entries(handlers).map(([id, handler]) =>
    vscode.commands.registerCommand(id, (...input: unknown[]) =>
      reportingErrors(id, () => (handler as (...input: unknown[]) => unknown)(...input), log),
    ),
  );
  return vscode.Disposable.from(...registrations);
}

async function reportingErrors(id: string, work: () => unknown, log: vscode.LogOutputChannel): Promise<unknown> {
  try {
    return await work();
  } catch (thrown) {
    const error = asCoppiceError(thrown);
    if (error.code === 'cancelled') return undefined;
    log.error(
      `${id}: ${error.code}: ${error.message} ${error.fix ?? ''}`,
      thrown instanceof Error ? (thrown.stack ?? '') : '',
    );
    void offerCure(
      error.code,
      [error.message, error.fix]
        .filter(part => part !== undefined)
        .map(sentence)
        .join(' '),
    );
    return undefined;
  }
}

async function offerCure(code: string, message: string): Promise<void> {
  const action = cureFor(code);
  const chosen = await vscode.window.showErrorMessage(message, action.title);
  if (chosen === action.title) await vscode.commands.executeCommand(action.command);
}

function cureFor(code: string): { readonly title: string; readonly command: CommandId } {
  switch (code) {
    case 'image_not_found':
    case 'ambiguous_reference':
      return { title: 'Import Image…', command: 'coppice.importImage' };
    case 'registry_unauthorized':
      return { title: 'Sign In…', command: 'coppice.signIn' };
    case 'runtime_unavailable':
    case 'unsupported':
      return { title: 'Check the Engine', command: 'coppice.doctor' };
    case 'engine_unreachable':
    case 'engine_died':
    case 'version_mismatch':
    case 'internal':
      return { title: 'Show Engine Log', command: 'coppice.showEngineLog' };
    default:
      return { title: 'Show Log', command: 'coppice.showLog' };
  }
}
