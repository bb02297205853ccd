import { StringDecoder } from 'node:string_decoder';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js';
import type { EngineClient } from '../client/engineClient.ts';
import type { EngineEvent, OutputEvent, StreamName } from '../protocol/events.ts';
import type { Progress } from '../protocol/rpc.ts';

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** Pieces of output are told so often at most, each no longer than a screen or two. */
const TELL_EVERY_MS = 200;
const LONGEST_MESSAGE = 4000;
/** A silent command is still alive: clients that wait for progress are told. */
const HEARTBEAT_MS = 10_000;

/** What a caller who asked for progress is told while its call goes on: steps, bytes, and the live output of what it waits for. */
export class CallProgress {
  readonly #extra: Extra;
  readonly #token: string | number;
  readonly #startedAt = Date.now();
  readonly #stops: (() => void)[] = [];
  #last = 0;
  #toldAt = Date.now();
  #ended = false;

  /** undefined: nobody asked. */
  static of(extra: Extra): CallProgress | undefined {
    const token = extra._meta?.progressToken;
    return token === undefined ? undefined : new CallProgress(extra, token);
  }

  private constructor(extra: Extra, token: string | number) {
    this.#extra = extra;
    this.#token = token;
    const beat = setInterval(() => this.#beat(), HEARTBEAT_MS / 2);
    this.#stops.push(() => clearInterval(beat));
  }

  tell({ message, done, total }: Pick<Progress, 'message' | 'done' | 'total'>): void {
    if (this.#ended) return;
    // It must grow with every message, whatever the next phase counts.
    this.#last = done !== undefined && done > this.#last ? done : this.#last + 1;
    this.#toldAt = Date.now();
    const params = {
      progressToken: this.#token,
      progress: this.#last,
      message,
      ...(total === undefined ? {} : { total: Math.max(total, this.#last) }),
    };
    this.#extra.sendNotification({ method: 'notifications/progress', params }).catch(() => undefined); // The agent has gone; the call's end says so.
  }

  /** The output of this operation is told: its newest part so far, then what comes. */
  async followOutput(client: EngineClient, operation: string): Promise<void> {
    const output = new LiveOutput(text => this.tell({ message: text }));
    let early: OutputEvent[] | undefined = [];
    await this.#subscribe(client, ['output'], [operation], event => {
      if (event.topic !== 'output') return;
      if (early) early.push(event);
      else output.take(event);
    });
    for (const stream of ['stdout', 'stderr'] as const) {
      const piece = await client.call('read_output', { operation_id: operation, stream, tail: LONGEST_MESSAGE });
      output.take({ stream, offset: piece.offset, data: Buffer.from(piece.text).toString('base64') });
    }
    for (const event of early) output.take(event);
    early = undefined;
    if (this.#ended) output.flush();
    else this.#stops.push(() => output.flush());
  }

  /** From now on it is told how these operations get on. */
  async followEnds(client: EngineClient, operations: readonly string[]): Promise<void> {
    const ended = new Set<string>();
    await this.#subscribe(client, ['operation'], operations, event => {
      if (event.topic !== 'operation' || ended.has(event.operation.operation_id)) return;
      const { operation_id: id, status, finished_at: finished, last_line: line } = event.operation;
      if (finished !== null) ended.add(id);
      this.tell({ message: `${id} ${status}, ${ended.size} of ${operations.length} ended${line && ` · ${line}`}` });
    });
  }

  async #subscribe(
    client: EngineClient,
    topics: readonly ('operation' | 'output')[],
    sources: readonly string[],
    listener: (event: EngineEvent) => void,
  ): Promise<void> {
    const stop = await client.subscribe(topics, listener, sources);
    const quietly = () => void stop().catch(() => undefined); // The engine has gone, and the subscription with it.
    if (this.#ended) quietly();
    else this.#stops.push(quietly);
  }

  #beat(): void {
    if (Date.now() - this.#toldAt < HEARTBEAT_MS) return;
    this.tell({ message: `going on for ${Math.round((Date.now() - this.#startedAt) / 1000)} s` });
  }

  end(): void {
    for (const stop of this.#stops.splice(0).reverse()) stop();
    this.#ended = true;
  }
}

/** Collects what is written and passes it on now and then, as text, the newest of it when there is too much. */
class LiveOutput {
  readonly #tell: (text: string) => void;
  readonly #decoders: Record<StreamName, StringDecoder> = {
    stdout: new StringDecoder('utf8'),
    stderr: new StringDecoder('utf8'),
  };
  readonly #positions: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  #text = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  take({ stream, offset, data }: Pick<OutputEvent, 'stream' | 'offset' | 'data'>): void {
    const bytes = Buffer.from(data, 'base64');
    const fresh = bytes.subarray(Math.max(0, this.#positions[stream] - offset));
    this.#positions[stream] = Math.max(this.#positions[stream], offset + bytes.length);
    this.#text = (this.#text + this.#decoders[stream].write(fresh)).slice(-LONGEST_MESSAGE);
    this.#timer ??= setTimeout(() => this.flush(), TELL_EVERY_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#text.trimEnd();
    this.#text = '';
    if (text !== '') this.#tell(text);
  }
}
