import * as vscode from 'vscode';
import type { AgentName } from '../agents/contributions.ts';
import type { CommandId } from '../contributions.ts';
import { asCoppiceError } from '../engineConnection.ts';
import type { FileRow } from '../files/filesView.ts';
import type { ImageRow } from '../views/imagesView.ts';
import { sentence } from '../views/labels.ts';
import type { OperationRow } from '../views/operationsView.ts';
import type { OfImage } from './pickImage.ts';

type OnFiles = [file?: vscode.Uri, files?: readonly vscode.Uri[]];
type OnImage = [row: ImageRow];
type OnOperation = [row: OperationRow];
type OnFolder = [folder?: vscode.WorkspaceFolder];
type OnOperations = [row: OperationRow, rows?: readonly OperationRow[]];

/** What each command is called with. */
export interface CommandArguments {
  readonly 'coppice.runInSandbox': OnFiles;
  readonly 'coppice.runInSandboxAndKeep': OnFiles;
  readonly 'coppice.runHere': OnImage;
  readonly 'coppice.openParallelRuns': [];
  readonly 'coppice.openInParallelRuns': OnOperations;
  readonly 'coppice.runManyHere': OnImage;
  readonly 'coppice.importHost': [];
  readonly 'coppice.importImage': [source?: string];
  readonly 'coppice.copyUuid': OnImage;
  readonly 'coppice.tagImage': [row: ImageRow, tag?: string];
  readonly 'coppice.untagImage': OnImage;
  readonly 'coppice.showLineage': OnImage;
  readonly 'coppice.removeImage': OnImage;
  readonly 'coppice.moreImages': [];
  readonly 'coppice.openOutput': OnOperation;
  readonly 'coppice.cancelOperation': OnOperations;
  readonly 'coppice.showResultImage': OnOperation;
  readonly 'coppice.syncNow': OnFolder;
  readonly 'coppice.pauseSync': OnFolder;
  readonly 'coppice.showExcluded': OnFolder;
  readonly 'coppice.syncMenu': [];
  readonly 'coppice.checkout': [];
  readonly 'coppice.newBranch': [image?: ImageRow, name?: string];
  readonly 'coppice.rollback': [image?: ImageRow];
  readonly 'coppice.browseFiles': [row?: OfImage];
  readonly 'coppice.closeFiles': [root: FileRow];
  readonly 'coppice.addToWorkspace': [row?: OfImage | FileRow];
  readonly 'coppice.copyFilePath': [row: FileRow];
  readonly 'coppice.diffFileWithParent': [row: FileRow | vscode.Uri];
  readonly 'coppice.diffWithParent': [row?: OfImage];
  readonly 'coppice.compareImages': [row?: OfImage, other?: ImageRow];
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
}

/** One handler for each command of `contributions.ts`: a missing one does not compile. */
export type CommandHandlers = {
  readonly [C in CommandId]: (...input: CommandArguments[C]) => Promise<unknown> | unknown;
};

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
