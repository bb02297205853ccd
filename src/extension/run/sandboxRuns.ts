import * as vscode from 'vscode';
import { Disposable } from '../disposable.ts';
import { outputUri } from '../documents/outputDocuments.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { type SandboxCommand, SandboxTerminal } from '../terminal/sandboxTerminal.ts';
import { duration, oneLine, outcome } from '../views/labels.ts';
import type { RunRequests } from './runRequests.ts';
import { refuseUntrusted } from './runRequests.ts';
import { type RunOptions, type RunTarget, titleOf } from './runTarget.ts';

const LONGEST_WAIT_S = 604_800;

/** "Run in Sandbox": one terminal a command, used again when it is run again; or no terminal at all. */
export class SandboxRuns extends Disposable {
  readonly #connection: EngineConnection;
  readonly #requests: RunRequests;
  readonly #log: vscode.LogOutputChannel;
  readonly #terminals = new Map<vscode.Terminal, { readonly key: string; readonly pty: SandboxTerminal }>();

  constructor(connection: EngineConnection, requests: RunRequests, log: vscode.LogOutputChannel) {
    super();
    this.#connection = connection;
    this.#requests = requests;
    this.#log = log;
    this._register(vscode.window.onDidCloseTerminal(terminal => this.#closed(terminal)));
  }

  show(target: RunTarget, options: RunOptions): void {
    refuseUntrusted();
    const title = titleOf(target);
    const key = JSON.stringify([title, target.cwd, target.file?.uri.toString(), options]);
    this.#show(key, {
      name: options.keep ? `${target.name} (keep)` : target.name,
      title,
      prepare: preparation => this.#requests.request(target, options, preparation),
    });
  }

  /** Goes on while one works; its end is told, and its output is one click away. */
  async inBackground(target: RunTarget, options: RunOptions): Promise<void> {
    refuseUntrusted();
    const title = oneLine(titleOf(target));
    const { operation_id } = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: `Starting ${title}` },
      async progress => {
        const say = (message: string) => progress.report({ message });
        const input = await this.#requests.request(target, options, {
          signal: new AbortController().signal,
          passing: say,
          say,
        });
        return this.#connection.call('run', { ...input, wait: false });
      },
    );
    this.#log.info(`${operation_id}: ${title}, in background`);
    vscode.window.setStatusBarMessage(`$(play-circle) ${title} runs in background`, 5000);
    const { results } = await this.#connection.call('wait_operations', {
      operation_ids: [operation_id],
      timeout: LONGEST_WAIT_S,
      truncate_output_at: 0,
    });
    const operation = results[operation_id]!;
    const text = `${title}: ${outcome(operation)} after ${duration(operation.duration_ms ?? 0)}`;
    const tell =
      operation.status === 'FAILED' ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
    if ((await tell(text, 'Open Output')) === 'Open Output')
      await vscode.commands.executeCommand('vscode.open', outputUri(operation));
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
