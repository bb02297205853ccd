import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { chooseFolder, folderForBranches } from '../currentFolder.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { askRunner } from '../run/chooseRunner.ts';
import { activeFile, filesToRun, fileTarget, nameOf, selectionTarget } from '../run/fileTargets.ts';
import { chooseImage } from '../run/runImage.ts';
import { refuseUntrusted } from '../run/runRequests.ts';
import type { RunOptions, RunTarget } from '../run/runTarget.ts';
import type { SandboxRuns } from '../run/sandboxRuns.ts';
import {
  askCommand,
  commandTarget,
  findScripts,
  isScriptFile,
  noScripts,
  pickTarget,
  scriptsOf,
  type TargetItem,
} from '../run/scriptTargets.ts';
import type { Shells } from '../terminal/shells.ts';
import { imageName } from '../views/labels.ts';
import type { CommandHandlers } from './command.ts';

type RunCommand =
  | 'coppice.runInSandbox'
  | 'coppice.runInSandboxAndKeep'
  | 'coppice.runWithArguments'
  | 'coppice.runInBackground'
  | 'coppice.runSelection'
  | 'coppice.runScript'
  | 'coppice.runCommand'
  | 'coppice.runHere'
  | 'coppice.shell'
  | 'coppice.shellHere'
  | 'coppice.chooseImage'
  | 'coppice.changeRunner';

interface Parts {
  readonly connection: EngineConnection;
  readonly runs: SandboxRuns;
  readonly shells: Shells;
  readonly memory: vscode.Memento;
}

const THROWN_AWAY: RunOptions = { keep: false };

/** Everything that starts something in a sandbox. */
export function runCommands({ connection, runs, shells, memory }: Parts): Pick<CommandHandlers, RunCommand> {
  const showEach = async (files: readonly vscode.Uri[], options: RunOptions) => {
    for (const file of files) {
      const target = await targetOf(file);
      if (target) runs.show(target, options);
    }
  };
  return {
    'coppice.runInSandbox': (file, files) => showEach(filesToRun(file, files), THROWN_AWAY),
    'coppice.runInSandboxAndKeep': (file, files) => showEach(filesToRun(file, files), { keep: true }),
    'coppice.runWithArguments': async (file, given) => {
      const [one] = filesToRun(file, undefined);
      const words = await argumentsFor(one!, typeof given === 'string' ? given : undefined, memory);
      const target = words === undefined ? undefined : await fileTarget(one!, words);
      if (target) runs.show(target, THROWN_AWAY);
    },
    'coppice.runInBackground': async (file, files) => {
      const targets = await Promise.all(filesToRun(file, files).map(targetOf));
      await Promise.all(targets.map(target => target && runs.inBackground(target, THROWN_AWAY)));
    },
    'coppice.runSelection': async () => {
      const editor = vscode.window.activeTextEditor;
      if (!editor) throw new CoppiceError('invalid_input', 'no editor is active', { fix: 'Select lines in an editor' });
      const target = await selectionTarget(editor);
      if (target) runs.show(target, THROWN_AWAY);
    },
    'coppice.runScript': async () => {
      refuseUntrusted();
      const target = await pickTarget('Run Script in Sandbox', await folderUri(), await findScripts());
      if (target) runs.show(target, THROWN_AWAY);
    },
    'coppice.runCommand': async (at, given) => {
      refuseUntrusted();
      const where = at instanceof vscode.Uri ? at : await folderUri();
      const target =
        typeof given === 'string' ? commandTarget(given, where) : await askCommand('Run Command in Sandbox', where);
      if (target) runs.show(target, THROWN_AWAY);
    },
    'coppice.runHere': async row => {
      refuseUntrusted();
      const target = await targetHere(`Run in ${imageName(row.image)}`);
      if (target) runs.show(target, { keep: false, image: row.image.uuid });
    },
    'coppice.shell': async at => {
      const uri = at instanceof vscode.Uri ? at : undefined;
      const folder = uri ? vscode.workspace.getWorkspaceFolder(uri) : await chooseFolder('A shell in which folder?');
      shells.show({ folder, ...(uri ? { cwd: commandTarget('', uri).cwd } : {}) });
    },
    'coppice.shellHere': row => shells.show({ folder: vscode.workspace.workspaceFolders?.[0], image: row.image.uuid }),
    'coppice.chooseImage': async given => {
      const image = typeof given === 'string' ? given : given?.image.uuid;
      await chooseImage(connection, await folderForBranches(), image);
    },
    'coppice.changeRunner': async file => {
      const [one] = filesToRun(file, undefined);
      await askRunner(nameOf(one!));
    },
  };
}

/** What a file or a folder runs as: chosen among scripts where it has them. */
async function targetOf(file: vscode.Uri): Promise<RunTarget | undefined> {
  refuseUntrusted();
  if (await isFolder(file)) return pickTarget(`Run in Sandbox: ${nameOf(file)}`, file, await findScripts(file));
  if (!isScriptFile(file)) return fileTarget(file);
  const scripts = await scriptsOf(file);
  if (scripts.length === 0) throw noScripts(file);
  if (scripts.length === 1) return scripts[0]!.target;
  return pickTarget(`Run in Sandbox: ${nameOf(file)}`, vscode.Uri.joinPath(file, '..'), scripts);
}

async function isFolder(file: vscode.Uri): Promise<boolean> {
  if (file.scheme === 'untitled') return false;
  return ((await vscode.workspace.fs.stat(file)).type & vscode.FileType.Directory) !== 0;
}

/** In an image that was chosen: the active file first. */
async function targetHere(title: string): Promise<RunTarget | undefined> {
  const file = activeFile();
  const active: TargetItem[] = file
    ? [{ label: `$(play) ${nameOf(file)}`, description: 'active file', find: () => fileTarget(file) }]
    : [];
  return pickTarget(title, await folderUri(), await findScripts(), active);
}

async function folderUri(): Promise<vscode.Uri | undefined> {
  return (await chooseFolder('In which folder?'))?.uri;
}

const ARGUMENTS = 'coppice.arguments';

/** Those of the last time are offered again. */
async function argumentsFor(
  file: vscode.Uri,
  given: string | undefined,
  memory: vscode.Memento,
): Promise<string | undefined> {
  const known = memory.get<Readonly<Record<string, string>>>(ARGUMENTS, {});
  const words =
    given ??
    (await vscode.window.showInputBox({
      title: `Run ${nameOf(file)} in Sandbox with Arguments`,
      prompt: 'As you would type them in a shell',
      placeHolder: '--epochs 10 "two words"',
      value: known[file.toString()] ?? '',
      ignoreFocusOut: true,
    }));
  if (words !== undefined) await memory.update(ARGUMENTS, { ...known, [file.toString()]: words });
  return words?.trim();
}
