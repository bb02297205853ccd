import { CoppiceError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { EngineClient } from '../engineClient.ts';
import { fromBase64, joined, toBase64 } from './bytes.ts';
import type { JobParams, JobResult, LogPosition, Piece } from './jobs.ts';

/** Of each stream a result holds so much; the rest is read from the stream. */
const RESULT_LIMIT = 64 * 1024 * 1024;
const PIECE = 4 * 1024 * 1024;
/** Small, so that a reader sees soon what came. */
const LIVE_PIECE = 256 * 1024;
const INPUT_PIECE = 256 * 1024;
/** Looked through for the last lines. */
const TAIL = 1024 * 1024;

/** Commands, what they write and what they read. */
export class OutputJobs {
  readonly #client: () => Promise<EngineClient>;

  constructor(client: () => Promise<EngineClient>) {
    this.#client = client;
  }

  async exec({ input, stdin }: JobParams<'exec'>, signal: AbortSignal): Promise<JobResult<'exec'>> {
    const client = await this.#client();
    const { process_id } = input;
    signal.throwIfAborted();
    const kill = () => {
      client.call('kill_process', { process_id, signal: 'SIGKILL' }).catch(() => undefined); // It may have ended by itself.
    };
    signal.addEventListener('abort', kill, { once: true });
    try {
      // Sent at once, one after the other: the engine knows the process when it is asked to wait for it.
      const [begun, , ended] = await Promise.allSettled([
        client.call('exec', { ...input, wait: false }),
        stdin === undefined ? undefined : this.#feed(client, process_id, stdin),
        client.call('wait_process', { process_id }),
      ]);
      if (begun.status === 'rejected') throw begun.reason;
      if (ended.status === 'rejected') throw ended.reason;
      const view = ended.value;
      if (view.running || view.exit_code === null) throw withoutEnd(process_id);
      const [stdout, stderr] = await Promise.all(
        (['stdout', 'stderr'] as const).map(stream =>
          this.#whole(client, process_id, stream, view.output_bytes[stream]),
        ),
      );
      return {
        view,
        stdout: stdout!.bytes,
        stderr: stderr!.bytes,
        truncated: stdout!.truncated || stderr!.truncated,
      };
    } finally {
      signal.removeEventListener('abort', kill);
    }
  }

  /** A process that ends without reading all of it is no failure. */
  async #feed(client: EngineClient, process_id: string, bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength; at += INPUT_PIECE) {
        await client.call('write_stdin', { process_id, data: toBase64(bytes.subarray(at, at + INPUT_PIECE)) });
      }
      await client.call('write_stdin', { process_id, close: true });
    } catch (error) {
      if (!(error instanceof CoppiceError && error.code === 'conflict')) throw error;
    }
  }

  async #whole(
    client: EngineClient,
    process: string,
    stream: StreamName,
    size: number,
  ): Promise<{ readonly bytes: Uint8Array; readonly truncated: boolean }> {
    const wanted = Math.min(size, RESULT_LIMIT);
    const pieces: Uint8Array[] = [];
    let capped = false;
    for (let at = 0; at < wanted; ) {
      const page = await client.call('read_output', {
        operation_id: process,
        stream,
        offset: at,
        length: Math.min(PIECE, wanted - at),
        encoding: 'base64',
      });
      if (page.next_offset === at) break;
      pieces.push(fromBase64(page.text));
      at = page.next_offset;
      capped = page.capped;
    }
    return { bytes: joined(pieces), truncated: capped || size > wanted };
  }

  async output({ process, stream, offset }: JobParams<'output'>, signal: AbortSignal, wait = true): Promise<Piece> {
    const client = await this.#client();
    const page = await client.call(
      'read_output',
      { operation_id: process, stream, offset, length: LIVE_PIECE, encoding: 'base64', wait },
      { signal },
    );
    return { bytes: fromBase64(page.text), eof: page.eof };
  }

  async logs(params: JobParams<'logs'>, signal: AbortSignal): Promise<JobResult<'logs'>> {
    try {
      return await this.#logs(params, signal);
    } catch (error) {
      throw error instanceof CoppiceError && error.code === 'process_not_found' ? withoutLogs(params.process) : error;
    }
  }

  async #logs({ process, at, follow }: JobParams<'logs'>, signal: AbortSignal): Promise<JobResult<'logs'>> {
    const from = 'tail' in at ? await this.#tail(process, at.tail) : at;
    const [stdout, stderr] = await this.#either(process, from, follow, signal);
    return {
      stdout: stdout.bytes,
      stderr: stderr.bytes,
      at: { stdout: from.stdout + stdout.bytes.byteLength, stderr: from.stderr + stderr.bytes.byteLength },
      eof: (stdout.eof && stderr.eof) || (!follow && stdout.bytes.byteLength + stderr.bytes.byteLength === 0),
    };
  }

  /** What is there of both; when nothing is and it shall follow, what comes first. */
  async #either(
    process: string,
    from: FromOffsets,
    follow: boolean,
    signal: AbortSignal,
  ): Promise<readonly [Piece, Piece]> {
    const read = (stream: StreamName, wait: boolean, stop = signal) =>
      this.output({ process, stream, offset: from[stream] }, stop, wait);
    const now = async () => [await read('stdout', false), await read('stderr', false)] as const;
    const here = await now();
    const nothing = here.every(piece => piece.bytes.byteLength === 0);
    if (!follow || !nothing || here.every(piece => piece.eof)) return here;
    const lost = new AbortController();
    const stop = AbortSignal.any([signal, lost.signal]);
    const open = (['stdout', 'stderr'] as const).filter((_, n) => !here[n]!.eof);
    const waits = open.map(stream => read(stream, true, stop));
    for (const each of waits) each.catch(() => undefined); // The one that lost.
    await Promise.race(waits);
    lost.abort();
    return now();
  }

  async #tail(process: string, lines: number): Promise<FromOffsets> {
    const [stdout, stderr] = await Promise.all([
      this.#tailOf(process, 'stdout', lines),
      this.#tailOf(process, 'stderr', lines),
    ]);
    return { stdout: stdout!, stderr: stderr! };
  }

  async #tailOf(process: string, stream: StreamName, lines: number): Promise<number> {
    const client = await this.#client();
    const page = await client.call('read_output', { operation_id: process, stream, tail: TAIL, encoding: 'base64' });
    const bytes = Buffer.from(page.text, 'base64');
    if (lines === 0) return page.next_offset;
    let at = bytes.at(-1) === 10 ? bytes.length - 1 : bytes.length;
    for (let left = lines; left > 0 && at >= 0; left--) at = at === 0 ? -1 : bytes.lastIndexOf(10, at - 1);
    return page.offset + at + 1;
  }

  async stdin({ process, bytes, close }: JobParams<'stdin'>, signal: AbortSignal): Promise<null> {
    const client = await this.#client();
    const last = Math.max(0, Math.ceil(bytes.byteLength / INPUT_PIECE) - 1);
    for (let n = 0; n <= last; n++) {
      const data = toBase64(bytes.subarray(n * INPUT_PIECE, (n + 1) * INPUT_PIECE));
      await client.call('write_stdin', { process_id: process, data, close: close && n === last }, { signal });
    }
    return null;
  }
}

type FromOffsets = Exclude<LogPosition, { readonly tail: number }>;

function withoutLogs(process: string): CoppiceError {
  return new CoppiceError(
    'conflict',
    `sandbox sb-${process.slice('pr-'.length)} runs no command of its own, so it has no logs`,
    {
      fix: 'Give Sandbox.run a command, or read the stdout of what exec starts.',
    },
  );
}

function withoutEnd(process: string): CoppiceError {
  return new CoppiceError('interrupted', `process ${process} is gone, and nothing says how it ended`, {
    fix: 'See coppice engine log.',
    data: { process_id: process },
  });
}
