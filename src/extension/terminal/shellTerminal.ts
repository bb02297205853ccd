import { StringDecoder } from 'node:string_decoder';
import * as vscode from 'vscode';
import { followOutput } from '../../client/followOutput.ts';
import { followProcess, newProcessId } from '../../client/followProcess.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ProcessView } from '../../protocol/schemas/sandboxes.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import type { Surroundings } from '../run/runRequests.ts';
import { shortId } from '../views/labels.ts';
import { askLine, failureLine, grey, keptLine, notice } from './lines.ts';
import type { Preparation } from './sandboxTerminal.ts';

/** A shell that lives: enough to find it again after the window was reloaded. */
export interface LivingShell {
  readonly name: string;
  readonly sandbox_id: string;
  readonly process_id: string;
  readonly image: string;
  /** Whose branch moves when what was changed is kept; undefined where the image was chosen. */
  readonly workspace: string | undefined;
}

export interface ShellParts {
  readonly connection: EngineConnection;
  readonly log: vscode.LogOutputChannel;
  readonly name: string;
  /** Made when the terminal opens. */
  readonly surroundings: (preparation: Preparation) => Promise<Surroundings & { readonly chosen: boolean }>;
  /** One that is there already, instead of a new one. */
  readonly living?: LivingShell;
  readonly lives: (shell: LivingShell | undefined) => void;
}

/** The best shell the image has. */
const SHELL = ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash -i; else exec sh -i; fi'];
const TERMINAL = { TERM: 'xterm-256color', COLORTERM: 'truecolor' };
const LONGEST_LIFE_S = 604_800;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

type Phase = 'starting' | 'running' | 'asking' | 'busy' | 'ended';

/** A shell in a sandbox with a real terminal of its own. When it ends, what it changed is kept as an image or discarded. */
export class ShellTerminal implements vscode.Pseudoterminal {
  readonly #parts: ShellParts;
  readonly #written = new vscode.EventEmitter<string>();
  readonly #closed = new vscode.EventEmitter<number>();
  readonly #abort = new AbortController();
  #phase: Phase = 'starting';
  #shell: LivingShell | undefined;
  #size = { cols: 80, rows: 24 };
  #input = Promise.resolve();

  readonly onDidWrite = this.#written.event;
  readonly onDidClose = this.#closed.event;

  constructor(parts: ShellParts) {
    this.#parts = parts;
    this.#shell = parts.living;
  }

  /** The shell that goes on although its terminal was closed. */
  get living(): LivingShell | undefined {
    return this.#phase === 'ended' ? undefined : this.#shell;
  }

  open(size: vscode.TerminalDimensions | undefined): void {
    if (size) this.#size = { cols: size.columns, rows: size.rows };
    void this.#live();
  }

  close(): void {
    if (this.#phase === 'starting') this.#abort.abort();
    this.#written.dispose();
    this.#closed.dispose();
  }

  setDimensions({ columns, rows }: vscode.TerminalDimensions): void {
    this.#size = { cols: columns, rows };
    if (this.#phase === 'running') void this.#tell('resize', this.#size);
  }

  handleInput(data: string): void {
    if (this.#phase === 'running')
      this.#input = this.#input.then(() => this.#tell('write_stdin', { data: base64(data) }));
    else if (this.#phase === 'starting' && data === CTRL_C) this.#abort.abort();
    else if (this.#phase === 'asking') this.#answer(data);
    else if (this.#phase === 'ended' && (data === CTRL_D || data === CTRL_C)) this.#closed.fire(0);
  }

  async #live(): Promise<void> {
    try {
      const ended = this.#shell ? await this.#attach(this.#shell) : await this.#start();
      this.#phase = 'asking';
      this.#line(askLine(ended));
    } catch (error) {
      this.#fail(asCoppiceError(error));
    }
  }

  async #start(): Promise<ProcessView> {
    const { connection, name } = this.#parts;
    const { signal } = this.#abort;
    const { chosen, ...surroundings } = await this.#parts.surroundings({
      signal,
      passing: text => this.#line(grey(text)),
      say: text => this.#line(grey(text)),
    });
    const client = await connection.client();
    const sandbox = await client.call(
      'create_sandbox',
      // It goes on when the window is reloaded; one that nobody comes back to ends some day.
      { ...surroundings, tags: ['shell'], detached: true, lifetime: LONGEST_LIFE_S },
      { signal },
    );
    this.#shell = {
      name,
      sandbox_id: sandbox.sandbox_id,
      process_id: newProcessId(),
      image: sandbox.image,
      workspace: chosen ? undefined : surroundings.workspace,
    };
    this.#parts.lives(this.#shell);
    this.#line(grey(`a shell in ${shortId(sandbox.image)}: nothing outside is changed; leave by exit or Ctrl-D`));
    const { sandbox_id, process_id } = this.#shell;
    return followProcess(
      client,
      {
        sandbox_id,
        process_id,
        command: SHELL,
        env: TERMINAL,
        tty: this.#size,
        stdin: 'open',
        ...(surroundings.cwd === undefined ? {} : { cwd: surroundings.cwd }),
      },
      this.#sink(),
      () => this.#begin(),
    );
  }

  /** All that it wrote until now comes again, then it goes on. */
  async #attach({ process_id }: LivingShell): Promise<ProcessView> {
    const client = await this.#parts.connection.client();
    const ended = client.call('wait_process', { process_id });
    this.#begin();
    await followOutput(client, process_id, this.#sink(), ended);
    return ended;
  }

  #begin(): void {
    this.#phase = 'running';
    void this.#tell('resize', this.#size);
  }

  #sink() {
    const decoder = new StringDecoder('utf8');
    return { write: (_stream: string, bytes: Buffer) => this.#written.fire(decoder.write(bytes)) };
  }

  async #tell(
    ...[verb, input]:
      | ['resize', { readonly cols: number; readonly rows: number }]
      | ['write_stdin', { readonly data: string }]
  ): Promise<void> {
    if (!this.#shell) return;
    try {
      await this.#parts.connection.call(verb, { process_id: this.#shell.process_id, ...input } as never);
    } catch (error) {
      this.#parts.log.debug(`${verb} of a shell that has ended: ${String(error)}`); // Its end is told by who follows it.
    }
  }

  #answer(key: string): void {
    if (key === 'k' || key === 'K') void this.#keepAndSay();
    else if (/^[dD\u0003\u0004]$/.test(key)) void this.discard().then(() => this.#closed.fire(0));
  }

  async #keepAndSay(): Promise<void> {
    try {
      this.#line(keptLine(await this.keep()));
    } catch (error) {
      this.#fail(asCoppiceError(error));
    }
  }

  /** What was changed becomes an image, and the head of the branch that it started from. */
  async keep(): Promise<Kept> {
    const { connection } = this.#parts;
    const shell = this.#shell;
    if (!shell) throw new CoppiceError('sandbox_not_found', 'this shell has no sandbox any more');
    this.#phase = 'busy';
    const { sandbox_id, workspace } = shell;
    const kept = await connection.call('snapshot', { sandbox_id, title: 'shell' });
    const branch =
      kept.filesystem_changed && workspace ? await this.#moveBranch(shell, workspace, kept.image) : undefined;
    await this.discard();
    return { image: kept.image, changed: kept.filesystem_changed, branch };
  }

  async #moveBranch(shell: LivingShell, workspace: string, image: string): Promise<string | undefined> {
    const { connection } = this.#parts;
    const { branches, checked_out } = await connection.call('branches', { workspace });
    const branch = branches.find(({ name, head }) => name === checked_out && head === shell.image);
    if (branch) await connection.call('branch', { name: branch.name, image });
    return branch?.name;
  }

  async discard(): Promise<void> {
    const shell = this.#shell;
    this.#phase = 'ended';
    this.#shell = undefined;
    this.#parts.lives(undefined);
    if (shell) await this.#parts.connection.call('stop_sandbox', { sandbox_id: shell.sandbox_id });
  }

  #fail(error: CoppiceError): void {
    const shell = this.#shell;
    this.#phase = 'ended';
    this.#shell = undefined;
    this.#parts.lives(undefined);
    if (shell && error.code !== 'engine_died') this.#stop(shell);
    if (error.code !== 'cancelled') this.#parts.log.error(`shell: ${error.message} ${error.fix ?? ''}`);
    this.#line(error.code === 'cancelled' ? notice('⊘ cancelled') : failureLine(error));
    this.#line(grey('Ctrl-D closes'));
  }

  #stop({ sandbox_id }: LivingShell): void {
    this.#parts.connection
      .call('stop_sandbox', { sandbox_id })
      .catch(error => this.#parts.log.warn(`sandbox ${sandbox_id} was not stopped: ${String(error)}`));
  }

  #line(text: string): void {
    this.#written.fire(`\r${text.replaceAll(/\r?\n/g, '\r\n')}\r\n`);
  }
}

export interface Kept {
  readonly image: string;
  readonly changed: boolean;
  /** That moved to it. */
  readonly branch: string | undefined;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
