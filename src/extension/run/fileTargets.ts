import { open } from 'node:fs/promises';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { settingOf } from '../settings.ts';
import { destinationOf } from '../sync/folderSettings.ts';
import { askRunner } from './chooseRunner.ts';
import { dedented, extension, placeOf, runnerByFirstLine, runnerByName } from './runner.ts';
import { quoted, type RunTarget } from './runTarget.ts';

const MOST_OF_A_FIRST_LINE = 256;

/** The files a command was called on: the selection in the explorer, the file of a menu, or the active editor's. */
export function filesToRun(
  file: vscode.Uri | undefined,
  files: readonly vscode.Uri[] | undefined,
): readonly vscode.Uri[] {
  if (Array.isArray(files) && files.length > 0) return files;
  const one = file instanceof vscode.Uri ? file : activeFile();
  if (one) return [one];
  throw new CoppiceError('invalid_input', 'no file is open', {
    fix: 'Open a file, or right-click one in the Explorer',
  });
}

/** Of the active editor, unless that shows something that is no file. */
export function activeFile(): vscode.Uri | undefined {
  const uri = vscode.window.activeTextEditor?.document.uri;
  return uri !== undefined && !/^(output|coppice.*)$/.test(uri.scheme) ? uri : undefined;
}

export const nameOf = (file: vscode.Uri): string => file.path.split('/').at(-1) ?? file.path;

/** By the setting, the file's first line, or an answer that is remembered. `words` are a shell's, typed by a person. */
export async function fileTarget(file: vscode.Uri, words = ''): Promise<RunTarget | undefined> {
  const runner = await runnerFor(file);
  if (runner === undefined) return undefined;
  const { folder, place } = whereIs(file);
  const base = { name: nameOf(file), folder, cwd: place.cwd, file: { uri: file, path: place.path } };
  if (words === '') return { ...base, command: runner, args: [place.argument] };
  return { ...base, command: `${runner} ${quoted(place.argument)} ${words}`, args: [] };
}

/** What is selected as a file of its own, beside the one it was selected in. */
export async function selectionTarget(editor: vscode.TextEditor): Promise<RunTarget | undefined> {
  const { document, selections } = editor;
  const text = selections.map(selection => document.getText(wholeLines(document, selection))).join('\n');
  if (text.trim() === '') {
    throw new CoppiceError('invalid_input', 'nothing is selected', { fix: 'Select the lines that shall run' });
  }
  const name = nameOf(document.uri);
  const runner =
    runnerByName(name, settingOf('coppice.runners', document.uri)) ?? runnerByFirstLine(firstLineOf(document)) ?? 'sh';
  const sibling = document.uri.with({ path: document.uri.path.replace(/[^/]*$/, `.selection${extension(name)}`) });
  const { folder, place } = whereIs(sibling);
  return {
    name: `${name} (selection)`,
    command: runner,
    args: [place.argument],
    folder,
    cwd: place.cwd,
    file: { uri: document.uri, path: place.path, text: `${dedented(text)}\n` },
  };
}

/** A part of a line runs as that part, several lines as whole lines. */
function wholeLines(document: vscode.TextDocument, selection: vscode.Selection): vscode.Range {
  if (selection.isSingleLine) return selection;
  const last = selection.end.character === 0 ? selection.end.line - 1 : selection.end.line;
  return new vscode.Range(selection.start.line, 0, last, document.lineAt(last).text.length);
}

function whereIs(file: vscode.Uri) {
  const folder = vscode.workspace.getWorkspaceFolder(file);
  return { folder, place: placeOf(file.path, folder && { destination: destinationOf(folder), path: folder.uri.path }) };
}

async function runnerFor(file: vscode.Uri): Promise<string | undefined> {
  return (
    runnerByName(nameOf(file), settingOf('coppice.runners', file)) ??
    runnerByFirstLine(await firstLine(file)) ??
    (await askRunner(nameOf(file)))
  );
}

const firstLineOf = (document: vscode.TextDocument): string => document.lineAt(0).text;

/** Without opening what may be a huge or binary file. */
async function firstLine(file: vscode.Uri): Promise<string> {
  const document = openDocument(file);
  if (document) return firstLineOf(document);
  const start = file.scheme === 'file' ? await firstBytes(file.fsPath) : await vscode.workspace.fs.readFile(file);
  return Buffer.from(start.subarray(0, MOST_OF_A_FIRST_LINE)).toString('utf8').split(/\r?\n/, 1)[0]!;
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MOST_OF_A_FIRST_LINE));
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

export function openDocument(file: vscode.Uri): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find(document => document.uri.toString() === file.toString());
}
