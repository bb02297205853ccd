import { StringDecoder } from 'node:string_decoder';
import * as vscode from 'vscode';
import { followOutput } from '../../client/followOutput.ts';
import type { CoppiceError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { cancelledLine, endLine, failure, failureLine, grey, notice, startLine, taskEndLine } from './lines.ts';

export interface SandboxCommand {
  /** The terminal's name. */
  readonly name: string;
  /** What is shown as the command line. */
  readonly title: string;
  /** true: it closes with the exit code when it has ended, as a task does. */
  readonly once?: true;
  /** Made anew for each run, so that a run again takes the files as they are then. */
  prepare(progress: Preparation): Promise<VerbInput<'run'>>;
}

export interface Preparation {
  readonly signal: AbortSignal;
  /** Shown in the terminal until something else is written. */
  readonly passing: (text: string) => void;
  /** Stays in the terminal. */
  readonly say: (text: string) => void;
}

/** Of what was cancelled, timed out or never began. */
const FAILED = 1;
const LONGEST_WAIT_S = 604_800;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CLEAR_LINE = '\r\u001b[2K';

/** One command in a sandbox, shown as a terminal: live output, Ctrl-C cancels, Enter runs it again. */
export class SandboxTerminal implements vscode.Pseudoterminal {
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #written = new vscode.EventEmitter<string>();
  readonly #closed = new vscode.EventEmitter<number | undefined>();
  readonly #command: SandboxCommand;
  #running = false;
  #operation: string | undefined;
  #abort = new AbortController();
  #atLineStart = true;
  #passing = false;

  readonly onDidWrite = this.#written.event;
  readonly onDidClose = this.#closed.event;

  constructor(connection: EngineConnection, log: vscode.LogOutputChannel, command: SandboxCommand) {
    this.#connection = connection;
    this.#log = log;
    this.#command = command;
  }

  get running(): boolean {
    return this.#running;
  }

  open(): void {
    void this.run();
  }

  close(): void {
    this.#written.dispose();
    this.#closed.dispose();
  }

  handleInput(data: string): void {
    if (data === CTRL_C && this.#running) void this.cancel();
    else if (this.#running)
      return; // A run has no standard input of its own yet.
    else if (data === '\r') void this.run();
    else if (data === CTRL_C || data === CTRL_D) this.#closed.fire(undefined);
  }

  async run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    this.#abort = new AbortController();
    this.#operation = undefined;
    this.#line(startLine(this.#command.title));
    let code = FAILED;
    try {
      const operation = await this.#start();
      this.#end(operation);
      code = operation.status === 'SUCCESS' ? 0 : operation.exit_code || FAILED;
    } catch (error) {
      this.#fail(asCoppiceError(error));
    } finally {
      this.#running = false;
    }
    if (this.#command.once) this.#closed.fire(code);
  }

  async cancel(): Promise<void> {
    this.#abort.abort();
    if (this.#operation === undefined) return;
    try {
      await this.#connection.call('cancel_operation', { operation_id: this.#operation });
    } catch (error) {
      this.#fail(asCoppiceError(error));
    }
  }

  async #start(): Promise<OperationResult> {
    const input = await this.#command.prepare({
      signal: this.#abort.signal,
      passing: text => this.#pass(text),
      say: text => this.#line(grey(text)),
    });
    this.#abort.signal.throwIfAborted();
    const client = await this.#connection.client();
    const { operation_id } = await client.call('run', { ...input, wait: false });
    this.#operation = operation_id;
    this.#log.info(`${operation_id}: ${this.#command.title}`);
    if (this.#abort.signal.aborted) await this.cancel();
    const finished = client.call('wait_operations', {
      operation_ids: [operation_id],
      timeout: LONGEST_WAIT_S,
      truncate_output_at: 0,
    });
    const decoders: Record<StreamName, StringDecoder> = {
      stdout: new StringDecoder('utf8'),
      stderr: new StringDecoder('utf8'),
    };
    await followOutput(
      client,
      operation_id,
      { write: (stream, bytes) => this.#write(decoders[stream].write(bytes)) },
      finished,
    );
    return (await finished).results[operation_id]!;
  }

  #end(operation: OperationResult): void {
    this.#line(this.#command.once ? taskEndLine(operation) : endLine(operation));
  }

  #fail(error: CoppiceError): void {
    if (error.code !== 'cancelled') this.#log.error(`${this.#command.title}: ${error.message} ${error.fix ?? ''}`);
    if (this.#command.once) this.#line(error.code === 'cancelled' ? notice('⊘ cancelled') : failureLine(error));
    else this.#line(error.code === 'cancelled' ? cancelledLine() : failure(error));
  }

  /** A line of our own, never glued to the program's last one. */
  #line(text: string): void {
    this.#write(`${this.#atLineStart ? '' : '\n'}${text}\n`);
  }

  #pass(text: string): void {
    this.#passing = true;
    this.#written.fire(`${CLEAR_LINE}${grey(text)}`);
  }

  #write(text: string): void {
    if (text === '') return;
    if (this.#passing) this.#written.fire(CLEAR_LINE);
    this.#passing = false;
    this.#atLineStart = text.endsWith('\n');
    this.#written.fire(text.replaceAll(/\r?\n/g, '\r\n'));
  }
}
