import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import * as vscode from 'vscode';
import { followOutput } from '../../client/followOutput.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { Disposable } from '../disposable.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { duration, oneLine, operationGroup, outcome } from '../views/labels.ts';

const SCHEME = 'coppice-output';
const FIRE_AFTER_MS = 200;
/** An editor is no place for more; the whole output stays on disk and in `coppice output`. */
const MOST_CHARACTERS = 4_000_000;
const LONGEST_WAIT_S = 604_800;

export function outputUri({ operation_id, title }: Pick<OperationView, 'operation_id' | 'title'>): vscode.Uri {
  const name = oneLine(title).replaceAll(/[/\\]/g, '∕').slice(0, 60) || 'output';
  return vscode.Uri.from({ scheme: SCHEME, path: `/${operation_id}/${name}.log` });
}

/** An operation's output as a read-only document that grows while the operation runs. */
export class OutputDocuments extends Disposable implements vscode.TextDocumentContentProvider {
  readonly #connection: EngineConnection;
  readonly #open = new Map<string, OutputText>();
  readonly #changed = this._register(new vscode.EventEmitter<vscode.Uri>());

  readonly onDidChange = this.#changed.event;

  constructor(connection: EngineConnection) {
    super();
    this.#connection = connection;
    this._register(vscode.workspace.registerTextDocumentContentProvider(SCHEME, this));
    this._register(vscode.workspace.onDidCloseTextDocument(document => this.#close(document.uri)));
    this._register(vscode.workspace.onDidChangeTextDocument(change => keepEndInSight(change)));
    this._register({ dispose: () => this.#closeAll() });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const key = uri.toString();
    const known = this.#open.get(key);
    if (known) return known.text();
    const output = new OutputText(this.#connection, uri.path.split('/')[1]!, () => this.#changed.fire(uri));
    this.#open.set(key, output);
    await output.load();
    return output.text();
  }

  #close(uri: vscode.Uri): void {
    const key = uri.toString();
    this.#open.get(key)?.dispose();
    this.#open.delete(key);
  }

  #closeAll(): void {
    for (const output of this.#open.values()) output.dispose();
    this.#open.clear();
  }
}

class OutputText implements vscode.Disposable {
  readonly #connection: EngineConnection;
  readonly #id: string;
  readonly #grown: () => void;
  readonly #abort = new AbortController();
  readonly #decoders: Record<StreamName, StringDecoder> = {
    stdout: new StringDecoder('utf8'),
    stderr: new StringDecoder('utf8'),
  };
  readonly #streams: Record<StreamName, string> = { stdout: '', stderr: '' };
  #cut = false;
  #end = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: EngineConnection, operationId: string, grown: () => void) {
    this.#connection = connection;
    this.#id = operationId;
    this.#grown = grown;
  }

  dispose(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  text(): string {
    const parts = [
      ...(this.#cut ? ['… the beginning is left out here'] : []),
      stripVTControlCharacters(this.#streams.stdout),
      ...(this.#streams.stderr ? ['── stderr ──', stripVTControlCharacters(this.#streams.stderr)] : []),
      this.#end,
    ];
    return parts
      .filter(part => part !== '')
      .map(part => (part.endsWith('\n') ? part : `${part}\n`))
      .join('');
  }

  /** Resolves with what is there now; what comes later is told by `grown`. */
  async load(): Promise<void> {
    try {
      const operation = await this.#connection.call('get_operation', { operation_id: this.#id, truncate_output_at: 0 });
      if (operationGroup(operation) === 'finished') await this.#readTails(operation);
      else void this.#follow();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #readTails(operation: OperationView): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (operation.output_bytes[stream] === 0) continue;
      const piece = await this.#connection.call('read_output', {
        operation_id: this.#id,
        stream,
        tail: MOST_CHARACTERS,
      });
      this.#streams[stream] = piece.text;
      this.#cut ||= piece.offset > 0;
    }
    this.#end = ending(operation);
  }

  async #follow(): Promise<void> {
    try {
      const client = await this.#connection.client();
      const finished = client.call(
        'wait_operations',
        { operation_ids: [this.#id], timeout: LONGEST_WAIT_S, truncate_output_at: 0 },
        { signal: this.#abort.signal },
      );
      await followOutput(client, this.#id, { write: (stream, bytes) => this.#take(stream, bytes) }, finished);
      this.#end = ending((await finished).results[this.#id]!);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#fail(error);
    }
    this.#fire();
  }

  #take(stream: StreamName, bytes: Buffer): void {
    const text = this.#streams[stream] + this.#decoders[stream].write(bytes);
    this.#cut ||= text.length > MOST_CHARACTERS;
    this.#streams[stream] = text.slice(-MOST_CHARACTERS);
    this.#fire();
  }

  #fail(thrown: unknown): void {
    const error = asCoppiceError(thrown);
    this.#end = `── ${error.message} ──\n${error.fix ?? ''}`;
  }

  #fire(): void {
    if (this.#abort.signal.aborted) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#grown();
    }, FIRE_AFTER_MS);
  }
}

function ending(operation: OperationView): string {
  return `── ${outcome(operation)} · ${duration(operation.duration_ms ?? 0)} ──`;
}

/** Who looks at the end of a growing document goes on looking at its end. */
function keepEndInSight({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
  if (document.uri.scheme !== SCHEME || contentChanges.length === 0) return;
  const firstNewLine = Math.min(...contentChanges.map(change => change.range.start.line));
  const last = document.lineCount - 1;
  for (const editor of vscode.window.visibleTextEditors) {
    if (editor.document !== document || !editor.visibleRanges.some(range => range.end.line + 1 >= firstNewLine))
      continue;
    editor.revealRange(new vscode.Range(last, 0, last, 0));
  }
}
