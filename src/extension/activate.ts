import path from 'node:path';
import * as vscode from 'vscode';
import { defaultHome, logPath } from '../protocol/endpoint.ts';
import { registerLanguageModelTools } from './agents/languageModelTools.ts';
import { refreshLauncher } from './agents/launcher.ts';
import { registerMcpServer } from './agents/mcpProvider.ts';
import { AgentSetups } from './agents/setUpAgent.ts';
import { checkout, newBranch, rollback } from './commands/branches.ts';
import { type CommandHandlers, chosen, registerCommands } from './commands/command.ts';
import { doctorText } from './commands/doctor.ts';
import { imageCommands } from './commands/imageCommands.ts';
import { showMenu } from './commands/menu.ts';
import { operationCommands } from './commands/operationCommands.ts';
import { runCommands } from './commands/runCommands.ts';
import { contextKeys } from './contributions.ts';
import { folderForBranches } from './currentFolder.ts';
import { OutputDocuments } from './documents/outputDocuments.ts';
import { ReportDocuments } from './documents/reportDocuments.ts';
import { EngineConnection } from './engineConnection.ts';
import { fileCommands } from './files/fileCommands.ts';
import { FilesView } from './files/filesView.ts';
import { ImageFileSystem } from './files/imageFileSystem.ts';
import { ImageFiles } from './files/imageFiles.ts';
import { LiveOperations } from './liveOperations.ts';
import { ParallelRuns } from './parallelRuns.ts';
import { RunRequests } from './run/runRequests.ts';
import { SandboxRuns } from './run/sandboxRuns.ts';
import { scriptFiles } from './run/scripts.ts';
import { settingOf } from './settings.ts';
import { StatusBar } from './statusBar.ts';
import { pauseOrResume, showExcluded, showSyncMenu, syncNow } from './sync/syncMenu.ts';
import { SyncStatusBar } from './sync/syncStatusBar.ts';
import { WorkspaceSync } from './sync/workspaceSync.ts';
import { SandboxTasks } from './tasks/sandboxTasks.ts';
import { Shells } from './terminal/shells.ts';
import type { Row } from './views/engineTree.ts';
import { ImagesView } from './views/imagesView.ts';
import { LineageView } from './views/lineageView.ts';
import { OperationsView } from './views/operationsView.ts';

/** For tests: how long activation took, and what VS Code gives no other way to look at. */
export interface CoppiceExtension {
  readonly activation: { readonly milliseconds: number; readonly cpuMilliseconds: number };
  readonly connection: EngineConnection;
  readonly images: vscode.TreeDataProvider<Row>;
  readonly lineage: LineageView;
  readonly operations: OperationsView;
  readonly files: FilesView;
  readonly sync: WorkspaceSync;
  readonly statusBar: StatusBar;
  readonly syncStatusBar: SyncStatusBar;
}

/** The composition root. Nothing here speaks to the engine: the first shown view or command does. */
export function activate(context: vscode.ExtensionContext): CoppiceExtension {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const own = <T extends vscode.Disposable>(thing: T): T => {
    context.subscriptions.push(thing);
    return thing;
  };
  const log = own(vscode.window.createOutputChannel('Coppice', { log: true }));
  const location = {
    home: defaultHome(),
    script: path.join(context.extensionPath, 'dist', 'engine.js'),
    start: true,
    get env() {
      const runtime = settingOf('coppice.runtime', undefined);
      const dockerHost = settingOf('coppice.dockerHost', undefined);
      return {
        ...(runtime === 'auto' ? {} : { COPPICE_RUNTIME: runtime }),
        ...(dockerHost === '' ? {} : { COPPICE_DOCKER_HOST: dockerHost }),
      };
    },
  };
  const connection = own(new EngineConnection(location, log));
  const live = own(new LiveOperations(connection, log));
  const images = own(new ImagesView(connection));
  const lineage = own(new LineageView(connection, log));
  const operations = own(new OperationsView(connection, live));
  own(new OutputDocuments(connection));
  const reports = own(new ReportDocuments());
  const script = path.join(context.extensionPath, 'dist', 'watch-thread.js');
  const sync = own(new WorkspaceSync({ connection, log, script, memory: context.workspaceState }));
  const files = new ImageFiles(connection);
  own(new ImageFileSystem(files));
  const filesView = own(new FilesView(files));
  const requests = new RunRequests(connection, sync);
  const runs = own(new SandboxRuns(connection, requests, log));
  const shells = own(new Shells({ connection, requests, log, memory: context.workspaceState }));
  own(new SandboxTasks(connection, requests, log));
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

  const handlers: CommandHandlers = {
    ...fileCommands({ connection, files, view: filesView, log }),
    ...runCommands({ connection, runs, shells, memory: context.workspaceState }),
    ...imageCommands({ connection, images, lineage, operations }),
    ...operationCommands({ connection, operations, lineage }),
    'coppice.openParallelRuns': () => parallelRuns.open(),
    'coppice.openInParallelRuns': (row, rows) =>
      parallelRuns.openOperations(chosen([operations], 'operation', row, rows)),
    'coppice.runManyHere': row => parallelRuns.openImage(row.image),
    'coppice.syncNow': folder => syncNow(sync, folder),
    'coppice.pauseSync': folder => pauseOrResume(sync, folder),
    'coppice.showExcluded': folder => showExcluded(sync, reports, folder),
    'coppice.syncMenu': () => showSyncMenu(sync),
    'coppice.checkout': async () => checkout(connection, await folderForBranches()),
    'coppice.newBranch': async (row, name) => newBranch(connection, await folderForBranches(), row?.image.uuid, name),
    'coppice.rollback': async row => rollback(connection, await folderForBranches(), row?.image.uuid),
    'coppice.refresh': () => {
      for (const tree of [images, lineage, operations]) tree.refresh();
    },
    'coppice.showMenu': showMenu,
    'coppice.showLog': () => log.show(true),
    'coppice.showEngineLog': () =>
      vscode.commands.executeCommand('vscode.open', vscode.Uri.file(logPath(connection.home))),
    'coppice.setUpAgent': (agent, answer) => agentSetups.setUp(agent, answer),
    'coppice.doctor': async () => reports.show('Coppice Doctor', await doctorText(connection)),
    'coppice.walkthrough': () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#start`),
  };
  own(registerCommands(handlers, log));
  const milliseconds = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  log.info(`activated in ${milliseconds.toFixed(1)} ms`);
  return {
    activation: { milliseconds, cpuMilliseconds: (user + system) / 1000 },
    connection,
    images,
    lineage,
    operations,
    files: filesView,
    sync,
    statusBar,
    syncStatusBar,
  };
}

/** Menus show "Run in Sandbox" on the files that the setting knows. */
function keepRunnableInContext(): vscode.Disposable {
  const set = () =>
    setContext(contextKeys.runnable, [...scriptFiles, ...Object.keys(settingOf('coppice.runners', undefined))]);
  set();
  return vscode.workspace.onDidChangeConfiguration(change => {
    if (change.affectsConfiguration('coppice.runners')) set();
  });
}

function setContext(key: string, value: unknown): void {
  void vscode.commands.executeCommand('setContext', key, value);
}
