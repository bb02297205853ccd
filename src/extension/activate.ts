import path from 'node:path';
import * as vscode from 'vscode';
import { defaultHome, logPath } from '../protocol/endpoint.ts';
import { registerLanguageModelTools } from './agents/languageModelTools.ts';
import { refreshLauncher } from './agents/launcher.ts';
import { registerMcpServer } from './agents/mcpProvider.ts';
import { AgentSetups } from './agents/setUpAgent.ts';
import { checkout, newBranch, rollback } from './commands/branches.ts';
import { copyUuid, removeImage, tagImage, untagImage } from './commands/changeImage.ts';
import { type CommandHandlers, registerCommands } from './commands/command.ts';
import { doctorText } from './commands/doctor.ts';
import { askImageSource, importImage } from './commands/importImage.ts';
import { showMenu } from './commands/menu.ts';
import { filesToRun, SandboxRuns } from './commands/runInSandbox.ts';
import { contextKeys } from './contributions.ts';
import { folderForBranches } from './currentFolder.ts';
import { lineageText } from './documents/lineageText.ts';
import { OutputDocuments, outputUri } from './documents/outputDocuments.ts';
import { ReportDocuments } from './documents/reportDocuments.ts';
import { EngineConnection } from './engineConnection.ts';
import { fileCommands } from './files/fileCommands.ts';
import { FilesView } from './files/filesView.ts';
import { ImageFileSystem } from './files/imageFileSystem.ts';
import { ImageFiles } from './files/imageFiles.ts';
import { LiveOperations } from './liveOperations.ts';
import { ParallelRuns } from './parallelRuns.ts';
import { settingOf } from './settings.ts';
import { StatusBar } from './statusBar.ts';
import { pauseOrResume, showExcluded, showSyncMenu, syncNow } from './sync/syncMenu.ts';
import { SyncStatusBar } from './sync/syncStatusBar.ts';
import { WorkspaceSync } from './sync/workspaceSync.ts';
import type { Row } from './views/engineTree.ts';
import { ImagesView } from './views/imagesView.ts';
import { shortId } from './views/labels.ts';
import { OperationsView } from './views/operationsView.ts';

/** For tests: how long activation took, and what VS Code gives no other way to look at. */
export interface CoppiceExtension {
  readonly activationMs: number;
  readonly connection: EngineConnection;
  readonly images: vscode.TreeDataProvider<Row>;
  readonly operations: vscode.TreeDataProvider<Row>;
  readonly files: FilesView;
  readonly sync: WorkspaceSync;
  readonly statusBar: StatusBar;
  readonly syncStatusBar: SyncStatusBar;
}

/** The composition root. Nothing here speaks to the engine: the first shown view or command does. */
export function activate(context: vscode.ExtensionContext): CoppiceExtension {
  const start = performance.now();
  const own = <T extends vscode.Disposable>(thing: T): T => {
    context.subscriptions.push(thing);
    return thing;
  };
  const log = own(vscode.window.createOutputChannel('Coppice', { log: true }));
  const location = {
    home: defaultHome(),
    script: path.join(context.extensionPath, 'dist', 'engine.js'),
    start: true,
  };
  const connection = own(new EngineConnection(location, log));
  const live = own(new LiveOperations(connection, log));
  const images = own(new ImagesView(connection, log));
  const operations = own(new OperationsView(connection, live));
  own(new OutputDocuments(connection));
  const reports = own(new ReportDocuments());
  const script = path.join(context.extensionPath, 'dist', 'watch-thread.js');
  const sync = own(new WorkspaceSync({ connection, log, script, memory: context.workspaceState }));
  const files = new ImageFiles(connection);
  own(new ImageFileSystem(files));
  const filesView = own(new FilesView(files));
  const runs = own(new SandboxRuns(connection, sync, log));
  const statusBar = own(new StatusBar(connection, live, log));
  const syncStatusBar = own(new SyncStatusBar(sync));
  const parallelRuns = own(
    new ParallelRuns({ connection, sync, log, extension: context.extensionUri, memento: context.workspaceState }),
  );
  own(connection.onDidChangeState(({ kind }) => setContext(contextKeys.engine, kind)));
  own(keepRunnableInContext());
  own(registerLanguageModelTools({ connection, manifest: context.extension.packageJSON }));
  own(registerMcpServer(context.extensionPath, connection.home));
  const agentSetups = own(new AgentSetups(context.extensionPath, connection.home));
  refreshLauncher(connection.home, context.extensionPath);

  const showLineage = async (image: string) =>
    reports.show(`Lineage of ${shortId(image)}`, lineageText(await connection.call('lineage', { image }), Date.now()));
  const handlers: CommandHandlers = {
    ...fileCommands({ connection, files, view: filesView, log }),
    'coppice.runInSandbox': (file, files) => runs.runFiles(filesToRun(file, files), { keep: false }),
    'coppice.runInSandboxAndKeep': (file, files) => runs.runFiles(filesToRun(file, files), { keep: true }),
    'coppice.runHere': row => runs.runFiles(filesToRun(undefined, undefined), { keep: false, image: row.image.uuid }),
    'coppice.openParallelRuns': () => parallelRuns.open(),
    'coppice.openInParallelRuns': (row, rows) =>
      parallelRuns.openOperations((rows ?? [row]).map(({ operation }) => operation)),
    'coppice.runManyHere': row => parallelRuns.openImage(row.image),
    'coppice.importHost': () => importImage(connection, 'host:'),
    'coppice.importImage': async given => {
      const source = typeof given === 'string' ? given : await askImageSource();
      if (source) await importImage(connection, source);
    },
    'coppice.copyUuid': row => copyUuid(row.image),
    'coppice.tagImage': (row, tag) => tagImage(connection, row.image, typeof tag === 'string' ? tag : undefined),
    'coppice.untagImage': row => untagImage(connection, row.image),
    'coppice.showLineage': row => showLineage(row.image.uuid),
    'coppice.removeImage': row => removeImage(connection, row.image),
    'coppice.moreImages': () => images.showMore(),
    'coppice.openOutput': row => vscode.commands.executeCommand('vscode.open', outputUri(row.operation)),
    'coppice.cancelOperation': async (row, rows) => {
      for (const { operation } of rows ?? [row]) {
        await connection.call('cancel_operation', { operation_id: operation.operation_id });
      }
    },
    'coppice.showResultImage': row => row.operation.result_image && showLineage(row.operation.result_image),
    'coppice.syncNow': folder => syncNow(sync, folder),
    'coppice.pauseSync': folder => pauseOrResume(sync, folder),
    'coppice.showExcluded': folder => showExcluded(sync, reports, folder),
    'coppice.syncMenu': () => showSyncMenu(sync),
    'coppice.checkout': async () => checkout(connection, await folderForBranches()),
    'coppice.newBranch': async (row, name) => newBranch(connection, await folderForBranches(), row?.image.uuid, name),
    'coppice.rollback': async row => rollback(connection, await folderForBranches(), row?.image.uuid),
    'coppice.refresh': () => {
      images.refresh();
      operations.refresh();
    },
    'coppice.showMenu': showMenu,
    'coppice.showLog': () => log.show(true),
    'coppice.showEngineLog': () =>
      vscode.commands.executeCommand('vscode.open', vscode.Uri.file(logPath(connection.home))),
    'coppice.setUpAgent': (agent, answer) => agentSetups.setUp(agent, answer),
    'coppice.doctor': async () => reports.show('Coppice Doctor.md', await doctorText(connection)),
  };
  own(registerCommands(handlers, log));
  const activationMs = performance.now() - start;
  log.info(`activated in ${activationMs.toFixed(1)} ms`);
  return { activationMs, connection, images, operations, files: filesView, sync, statusBar, syncStatusBar };
}

/** Menus show "Run in Sandbox" on the files that the setting knows. */
function keepRunnableInContext(): vscode.Disposable {
  const set = () => setContext(contextKeys.runnable, Object.keys(settingOf('coppice.runners', undefined)));
  set();
  return vscode.workspace.onDidChangeConfiguration(change => {
    if (change.affectsConfiguration('coppice.runners')) set();
  });
}

function setContext(key: string, value: unknown): void {
  void vscode.commands.executeCommand('setContext', key, value);
}
