import * as vscode from 'vscode';
import { Disposable } from '../disposable.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import type { RunRequests } from '../run/runRequests.ts';
import { refuseUntrusted } from '../run/runRequests.ts';
import { destinationOf } from '../sync/folderSettings.ts';
import { sentence, shortId } from '../views/labels.ts';
import { type LivingShell, ShellTerminal } from './shellTerminal.ts';

/** Remembered of a workspace: its shells go on when the window is reloaded. */
const LIVING = 'coppice.shells';

export interface ShellAt {
  readonly folder: vscode.WorkspaceFolder | undefined;
  /** Inside; undefined: where the folder appears. */
  readonly cwd?: string;
  /** Instead of the setting and the head. */
  readonly image?: string;
}

/** The shells of this window. */
export class Shells extends Disposable implements vscode.TerminalProfileProvider {
  readonly #connection: EngineConnection;
  readonly #requests: RunRequests;
  readonly #log: vscode.LogOutputChannel;
  readonly #memory: vscode.Memento;
  readonly #living = new Map<ShellTerminal, LivingShell>();
  #restored = false;

  constructor(parts: {
    readonly connection: EngineConnection;
    readonly requests: RunRequests;
    readonly log: vscode.LogOutputChannel;
    readonly memory: vscode.Memento;
  }) {
    super();
    this.#connection = parts.connection;
    this.#requests = parts.requests;
    this.#log = parts.log;
    this.#memory = parts.memory;
    this._register(vscode.window.onDidCloseTerminal(terminal => void this.#terminalClosed(terminal)));
    this._register(vscode.window.registerTerminalProfileProvider('coppice.shell', this));
    this._register(
      parts.connection.onDidChangeState(({ kind }) => {
        if (kind === 'connected') void this.#restore();
      }),
    );
  }

  provideTerminalProfile(): vscode.TerminalProfile {
    refuseUntrusted();
    return new vscode.TerminalProfile(this.#options({ folder: vscode.workspace.workspaceFolders?.[0] }));
  }

  show(at: ShellAt): void {
    refuseUntrusted();
    vscode.window.createTerminal(this.#options(at)).show();
  }

  #options({ folder, cwd, image }: ShellAt): vscode.ExtensionTerminalOptions {
    const where = image === undefined ? (folder?.name ?? 'sandbox') : shortId(image);
    const name = `shell: ${where}`;
    const inside = cwd ?? (folder && destinationOf(folder)) ?? '/';
    const surroundings: ConstructorParameters<typeof ShellTerminal>[0]['surroundings'] = async preparation => ({
      ...(await this.#requests.surroundings(
        { folder, cwd: inside },
        image === undefined ? {} : { image },
        preparation,
      )),
      chosen: image !== undefined,
    });
    return this.#terminal(name, surroundings);
  }

  #terminal(
    name: string,
    surroundings: ConstructorParameters<typeof ShellTerminal>[0]['surroundings'],
    living?: LivingShell,
  ): vscode.ExtensionTerminalOptions {
    const pty: ShellTerminal = new ShellTerminal({
      connection: this.#connection,
      log: this.#log,
      name,
      surroundings,
      ...(living ? { living } : {}),
      lives: shell => this.#remember(pty, shell),
    });
    if (living) this.#living.set(pty, living);
    return { name, pty, iconPath: new vscode.ThemeIcon('terminal-linux'), isTransient: true };
  }

  #remember(pty: ShellTerminal, shell: LivingShell | undefined): void {
    if (shell) this.#living.set(pty, shell);
    else this.#living.delete(pty);
    void this.#memory.update(LIVING, [...this.#living.values()]);
  }

  /** After a reload: every shell that still lives gets its terminal back, with all that it wrote. */
  async #restore(): Promise<void> {
    if (this.#restored) return;
    this.#restored = true;
    for (const shell of this.#memory.get<readonly LivingShell[]>(LIVING, [])) {
      if (!(await this.#lives(shell))) continue;
      const none = () => Promise.reject(new Error('a living shell needs no surroundings'));
      vscode.window.createTerminal(this.#terminal(shell.name, none, shell)).show(true);
    }
    void this.#memory.update(LIVING, [...this.#living.values()]);
  }

  async #lives({ sandbox_id }: LivingShell): Promise<boolean> {
    try {
      return (await this.#connection.call('get_sandbox', { sandbox_id })).status === 'running';
    } catch (error) {
      this.#log.info(`the shell ${sandbox_id} is gone: ${String(error)}`);
      return false;
    }
  }

  /** A person who closes the terminal is asked; a window that closes or reloads leaves the shell as it is. */
  async #terminalClosed(terminal: vscode.Terminal): Promise<void> {
    const { pty } = terminal.creationOptions as Partial<vscode.ExtensionTerminalOptions>;
    if (!(pty instanceof ShellTerminal) || !pty.living) return;
    if (terminal.exitStatus?.reason !== vscode.TerminalExitReason.User) return;
    try {
      await this.#keepOrDiscard(pty, terminal.name);
    } catch (thrown) {
      const error = asCoppiceError(thrown);
      this.#log.error(`${terminal.name}: ${error.message}`);
      void vscode.window.showErrorMessage(sentence(error.message));
    }
  }

  async #keepOrDiscard(pty: ShellTerminal, name: string): Promise<void> {
    const question = `“${name}” was closed. Keep what was changed in it?`;
    const answer = await vscode.window.showInformationMessage(question, 'Keep as Image', 'Discard');
    if (answer !== 'Keep as Image') {
      await pty.discard();
      return;
    }
    const { image, changed } = await pty.keep();
    vscode.window.setStatusBarMessage(changed ? `$(check) kept as ${shortId(image)}` : 'Nothing was changed', 5000);
  }
}
