import { open } from 'node:fs/promises';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import { Disposable } from '../disposable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';
import { destinationOf } from '../sync/folderSettings.ts';
import type { WorkspaceSync } from '../sync/workspaceSync.ts';
import { syncLine } from '../terminal/lines.ts';
import { extension, placeOf, runnerByFirstLine, runnerByName } from '../terminal/runner.ts';
import { type Preparation, type SandboxCommand, SandboxTerminal } from '../terminal/sandboxTerminal.ts';

export interface RunOptions {
  readonly keep: boolean;
  /** Instead of the setting and the head. */
  readonly image?: string;
}

/** Programs write to a pipe here, not to a terminal: these make them write at once, and in colour. */
const LIVE_AND_COLOURED = {
  TERM: 'xterm-256color',
  FORCE_COLOR: '1',
  CLICOLOR_FORCE: '1',
  PYTHONUNBUFFERED: '1',
};

const MOST_OF_A_FIRST_LINE = 256;

/** "Run in Sandbox": one terminal a file, used again when the file is run again. */
export class SandboxRuns extends Disposable {
  readonly #connection: EngineConnection;
  readonly #sync: WorkspaceSync;
  readonly #log: vscode.LogOutputChannel;
  readonly #terminals = new Map<vscode.Terminal, { readonly key: string; readonly pty: SandboxTerminal }>();

  constructor(connection: EngineConnection, sync: WorkspaceSync, log: vscode.LogOutputChannel) {
    super();
    this.#connection = connection;
    this.#sync = sync;
    this.#log = log;
    this._register(vscode.window.onDidCloseTerminal(terminal => this.#closed(terminal)));
  }

  async runFiles(files: readonly vscode.Uri[], options: RunOptions): Promise<void> {
    for (const file of files) await this.#runFile(file, options);
  }

  async #runFile(file: vscode.Uri, options: RunOptions): Promise<void> {
    if (!vscode.workspace.isTrusted) throw notTrusted();
    const command = await this.#commandFor(file, options);
    if (command) this.#show(`${file.toString()}\n${JSON.stringify(options)}`, command);
  }

  async #commandFor(file: vscode.Uri, options: RunOptions): Promise<SandboxCommand | undefined> {
    const name = file.path.split('/').at(-1) ?? file.path;
    const runner =
      runnerByName(name, settingOf('coppice.runners', file)) ??
      runnerByFirstLine(await firstLine(file)) ??
      (await askRunner(name));
    if (runner === undefined) return undefined;
    const folder = vscode.workspace.getWorkspaceFolder(file);
    const place = placeOf(file.path, folder && { destination: destinationOf(folder), path: folder.uri.path });
    const prepare = async (preparation: Preparation): Promise<VerbInput<'run'>> => {
      const uploaded = await this.#upload(file); // Saved first; and it runs even when the sync leaves it out.
      const state = folder && (await this.#stateOf(folder, preparation));
      const image = options.image ?? settingOf('coppice.image', file);
      return {
        command: runner,
        args: [place.argument],
        cwd: place.cwd,
        files: { [place.path]: uploaded },
        env: LIVE_AND_COLOURED,
        network: settingOf('coppice.network', file),
        timeout: 0,
        disposable: !options.keep,
        ...(image === '' ? {} : { image }),
        ...(state === undefined ? {} : { directory_state_id: state }),
        ...(folder?.uri.scheme === 'file' ? { workspace: folder.uri.fsPath } : {}),
      };
    };
    return { name: options.keep ? `${name} (keep)` : name, title: `${runner} ${place.argument}`, prepare };
  }

  async #stateOf(folder: vscode.WorkspaceFolder, { signal, passing, say }: Preparation): Promise<string | undefined> {
    const state = await this.#sync.stateOf(folder, { signal, onProgress: ({ message }) => passing(message) });
    if (state && !state.unchanged) say(syncLine(state));
    return state?.directory_state_id;
  }

  async #upload(file: vscode.Uri): Promise<string> {
    const document = openDocument(file);
    if (document?.isDirty && !document.isUntitled) await document.save();
    if (file.scheme === 'file') return (await this.#connection.call('upload', { path: file.fsPath })).uuid;
    if (document) return (await this.#connection.call('upload', { content: document.getText() })).uuid;
    const bytes = await vscode.workspace.fs.readFile(file);
    return (await this.#connection.call('upload', { content_base64: Buffer.from(bytes).toString('base64') })).uuid;
  }

  #show(key: string, command: SandboxCommand): void {
    const idle = [...this.#terminals].find(([, { key: of, pty }]) => of === key && !pty.running);
    if (idle) {
      idle[0].show(true);
      void idle[1].pty.run();
      return;
    }
    const pty = new SandboxTerminal(this.#connection, this.#log, command);
    const terminal = vscode.window.createTerminal({
      name: command.name,
      pty,
      iconPath: new vscode.ThemeIcon('play-circle'),
      isTransient: true,
    });
    this.#terminals.set(terminal, { key, pty });
    terminal.show(true);
  }

  /** A person who closes the terminal ends its run, as in any terminal; a window that closes or reloads does not. */
  #closed(terminal: vscode.Terminal): void {
    const known = this.#terminals.get(terminal);
    this.#terminals.delete(terminal);
    if (known?.pty.running && terminal.exitStatus?.reason === vscode.TerminalExitReason.User) void known.pty.cancel();
  }
}

/** The files a command was called on: the selection in the explorer, the file of a menu, or the active editor's. */
export function filesToRun(
  file: vscode.Uri | undefined,
  files: readonly vscode.Uri[] | undefined,
): readonly vscode.Uri[] {
  if (Array.isArray(files) && files.length > 0) return files;
  const one = file ?? vscode.window.activeTextEditor?.document.uri;
  if (one !== undefined && !/^(output|coppice-.*)$/.test(one.scheme)) return [one];
  throw new CoppiceError('invalid_input', 'no file is open', {
    fix: 'Open a file, or right-click one in the Explorer',
  });
}

function notTrusted(): CoppiceError {
  return new CoppiceError('fenced', 'this workspace is not trusted, so nothing of it is run', {
    fix: 'Trust it by the command “Workspaces: Manage Workspace Trust”',
  });
}

/** Without opening what may be a huge or binary file. */
async function firstLine(file: vscode.Uri): Promise<string> {
  const document = openDocument(file);
  if (document) return document.lineAt(0).text;
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

function openDocument(file: vscode.Uri): vscode.TextDocument | undefined {
  return vscode.workspace.textDocuments.find(document => document.uri.toString() === file.toString());
}

/** Asked once; the answer is kept in the user's settings. */
async function askRunner(name: string): Promise<string | undefined> {
  const key = extension(name) || name;
  const answer = await vscode.window.showInputBox({
    title: `Run ${name} in Sandbox`,
    prompt: `Command that runs ${key} files; the file’s path is appended. Remembered in coppice.runners.`,
    placeHolder: 'python3',
    ignoreFocusOut: true,
  });
  if (answer === undefined || answer.trim() === '') return undefined;
  const configuration = vscode.workspace.getConfiguration();
  const own = configuration.inspect<Record<string, string>>('coppice.runners')?.globalValue ?? {};
  await configuration.update('coppice.runners', { ...own, [key]: answer.trim() }, vscode.ConfigurationTarget.Global);
  return answer.trim();
}
