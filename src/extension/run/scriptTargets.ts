import path from 'node:path';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { settingOf } from '../settings.ts';
import { destinationOf } from '../sync/folderSettings.ts';
import { oneLine } from '../views/labels.ts';
import { nameOf } from './fileTargets.ts';
import { folderInside } from './runner.ts';
import type { RunTarget } from './runTarget.ts';
import { makeTargets, packageManager, packageScripts, type Script, scriptFiles } from './scripts.ts';

const NAMES = `{${scriptFiles.join(',')}}`;
const LEAVE_OUT = '**/{node_modules,.venv,venv,target,dist,build}/**';
const MOST_FILES = 50;

/** A script of a file, ready to run. */
export interface FoundScript {
  readonly script: Script;
  readonly file: vscode.Uri;
  readonly target: RunTarget;
}

/** A file with scripts to choose from, unless the user's setting says how it runs itself. */
export function isScriptFile(file: vscode.Uri): boolean {
  const name = nameOf(file);
  return (scriptFiles as readonly string[]).includes(name) && !Object.hasOwn(settingOf('coppice.runners', file), name);
}

/** All scripts of the workspace, or of one folder and what lies below it. */
export async function findScripts(below?: vscode.Uri): Promise<readonly FoundScript[]> {
  const pattern = below ? new vscode.RelativePattern(below, `**/${NAMES}`) : `**/${NAMES}`;
  const files = await vscode.workspace.findFiles(pattern, LEAVE_OUT, MOST_FILES);
  const depth = (file: vscode.Uri) => file.path.split('/').length;
  files.sort((a, b) => depth(a) - depth(b) || a.path.localeCompare(b.path));
  const found = await Promise.all(files.map(file => scriptsOf(file).catch(() => []))); // A broken package.json has none.
  return found.flat();
}

export async function scriptsOf(file: vscode.Uri): Promise<readonly FoundScript[]> {
  const text = Buffer.from(await vscode.workspace.fs.readFile(file)).toString('utf8');
  const at = vscode.Uri.joinPath(file, '..');
  const scripts =
    nameOf(file) === 'package.json'
      ? packageScripts(text, packageManager((await vscode.workspace.fs.readDirectory(at)).map(([name]) => name)))
      : makeTargets(text, nameOf(file));
  return scripts.map(script => ({ script, file, target: commandTarget(script.command, at) }));
}

/** A command line in a folder of the workspace. */
export function commandTarget(command: string, at: vscode.Uri | undefined): RunTarget {
  const folder = at && vscode.workspace.getWorkspaceFolder(at);
  const inside = folder && folderInside(at.path, { destination: destinationOf(folder), path: folder.uri.path });
  return { name: oneLine(command).slice(0, 40), command, args: [], folder, cwd: inside ?? '/' };
}

/** Offers what there is, and to type a command. */
export async function pickTarget(
  title: string,
  at: vscode.Uri | undefined,
  scripts: readonly FoundScript[],
  more: readonly TargetItem[] = [],
): Promise<RunTarget | undefined> {
  const typed: TargetItem = { label: '$(terminal) Type a command…', find: () => askCommand(title, at) };
  const items = scripts.map(({ script, file, target }): TargetItem => {
    const where = vscode.workspace.asRelativePath(vscode.Uri.joinPath(file, '..'));
    return {
      label: `$(${nameOf(file) === 'package.json' ? 'json' : 'tools'}) ${script.command}`,
      description: oneLine(script.detail),
      ...(path.isAbsolute(where) ? {} : { detail: where }),
      find: async () => target,
    };
  });
  const chosen = await vscode.window.showQuickPick([...more, ...items, typed], {
    title,
    placeHolder: 'What shall run?',
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return chosen?.find();
}

export type TargetItem = vscode.QuickPickItem & { readonly find: () => Promise<RunTarget | undefined> };

export async function askCommand(title: string, at: vscode.Uri | undefined): Promise<RunTarget | undefined> {
  const { cwd } = commandTarget('', at);
  const command = await vscode.window.showInputBox({
    title,
    prompt: `A command line for /bin/sh, in ${cwd}`,
    placeHolder: 'make test',
    ignoreFocusOut: true,
    validateInput: text => (text.trim() === '' ? 'A command is missing' : undefined),
  });
  return command === undefined ? undefined : commandTarget(command.trim(), at);
}

export function noScripts(file: vscode.Uri): CoppiceError {
  return new CoppiceError('invalid_input', `${nameOf(file)} has no scripts`, {
    fix: 'Use “Run Command in Sandbox…” for a command of your own',
  });
}
