import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import type { ProcessExit } from '../../runtime.ts';
import { mainProcess, type ProcessName, spoolName } from '../hostApi.ts';
import { OutputSpool } from './outputSpool.ts';
import { inboxPath } from './paths.ts';
import type { OutputPipe, Pipes } from './pipes.ts';

export type OutputListener = (stdout: number, stderr: number) => void;

/** Left by processes that outlive an exec'd command and hold on to its output. */
const lingerMs = 100;
const reportMs = 5;

interface Stream {
  readonly pipe: OutputPipe;
  readonly spool: OutputSpool;
}

/** Both output streams of a process, from its pipes to its spools. */
export class ProcessOutput {
  /** For the child's stdout and stderr; close them with `handedOver` once it has them. */
  readonly childFds: readonly [number, number];
  readonly #streams: { readonly stdout: Stream; readonly stderr: Stream } | undefined;
  #drained: Promise<unknown> | undefined;

  private constructor(childFds: readonly [number, number], streams?: { stdout: Stream; stderr: Stream }) {
    this.childFds = childFds;
    this.#streams = streams;
  }

  static async spooled(name: ProcessName, cap: number, pipes: Pipes): Promise<ProcessOutput> {
    const use = name.process === mainProcess ? 'untilReleased' : 'once';
    const spools: OutputSpool[] = [];
    try {
      const stdout = { spool: openSpool(name, 'stdout', cap, spools), pipe: await pipes.output(use) };
      const stderr = { spool: openSpool(name, 'stderr', cap, spools), pipe: await pipes.output(use) };
      return new ProcessOutput([stdout.pipe.childFd, stderr.pipe.childFd], { stdout, stderr });
    } catch (error) {
      for (const spool of spools) spool.close();
      throw error;
    }
  }

  static discarded(): ProcessOutput {
    return new ProcessOutput([openSync('/dev/null', 'w'), openSync('/dev/null', 'w')]);
  }

  handedOver(): void {
    for (const fd of this.childFds) closeSync(fd);
  }

  drain(listener: OutputListener): void {
    const streams = this.#streams;
    if (!streams) return;
    const { stdout, stderr } = streams;
    const report = coalesced(reportMs, () => listener(stdout.spool.length, stderr.spool.length));
    this.#drained = Promise.all([
      stdout.spool.drain(stdout.pipe.socket, report),
      stderr.spool.drain(stderr.pipe.socket, report),
    ]);
  }

  /** The process was never started. */
  abandon(): void {
    for (const { pipe, spool } of Object.values(this.#streams ?? {})) {
      pipe.socket.destroy();
      pipe.release();
      spool.close();
    }
  }

  /**
   * After the process ended: waits for what is still in the pipes, and answers what is in the spools. `allDead`: so did
   * everything that may have got hold of them.
   */
  async finish(allDead: boolean): Promise<ProcessExit['output']> {
    const streams = this.#streams;
    if (!streams || !this.#drained) return { stdout: { bytes: 0, capped: false }, stderr: { bytes: 0, capped: false } };
    await lastOutput(this.#drained, [streams.stdout, streams.stderr]);
    if (allDead) for (const { pipe } of Object.values(streams)) pipe.release();
    return { stdout: streams.stdout.spool.close(), stderr: streams.stderr.spool.close() };
  }
}

function openSpool(name: ProcessName, stream: 'stdout' | 'stderr', cap: number, opened: OutputSpool[]): OutputSpool {
  const spool = new OutputSpool(path.join(inboxPath, spoolName(name, stream)), cap);
  opened.push(spool);
  return spool;
}

/** The pipes end with the last process that holds them; one that stays behind quietly does not keep the result waiting. */
async function lastOutput(drained: Promise<unknown>, streams: readonly Stream[]): Promise<void> {
  const received = () => streams.reduce((sum, stream) => sum + stream.spool.received, 0);
  let done = false;
  const finished = drained.then(() => {
    done = true;
  });
  for (let before = -1; !done && (before !== received() || streams.some(stream => stream.spool.writing)); ) {
    before = received();
    await Promise.race([finished, quiet(lingerMs)]);
  }
  for (const stream of streams) stream.pipe.socket.destroy();
  await finished;
}

/** After a long pause of ours a timer is due before the pipes were looked at: so one look at them comes after it. */
async function quiet(ms: number): Promise<void> {
  await pause(ms, undefined, { ref: false });
  await immediate();
  await immediate();
}

function coalesced(interval: number, report: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      report();
    }, interval);
  };
}
