import type { MetricChoice, MetricView } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { metricPattern } from './metricScan.ts';
import { MetricSeries } from './metricSeries.ts';
import { MetricThread, SlowPattern } from './metricThread.ts';

const PIECE = 262_144;
const READS_AT_ONCE = 4;
const STREAMS = ['stdout', 'stderr'] as const;

interface Reading {
  readonly offsets: Record<StreamName, number>;
  readonly ended: Record<StreamName, boolean>;
  readonly series: Record<StreamName, MetricSeries>;
  operation: OperationView;
  queued: boolean;
}

/**
 * The metric of every run, from its whole output, read on as it grows and never twice. Where both streams have numbers,
 * those of stdout count.
 */
export class RunMetrics {
  readonly #caller: VerbCaller;
  readonly #changed: () => void;
  readonly #readings = new Map<string, Reading>();
  readonly #queue: Reading[] = [];
  #choice: MetricChoice = { pattern: '', group: '', take: 'last', best: 'min' };
  #groups: readonly string[] = [];
  #problem: string | null = null;
  #thread: MetricThread | undefined;
  #busy = 0;
  /** Counts choices: what an earlier one still reads is dropped. */
  #round = 0;

  constructor(caller: VerbCaller, changed: () => void) {
    this.#caller = caller;
    this.#changed = changed;
  }

  get choice(): MetricChoice {
    return this.#choice;
  }

  choose(choice: MetricChoice): void {
    const same = choice.pattern === this.#choice.pattern && choice.group === this.#choice.group;
    this.#choice = choice;
    if (!same) this.#startOver();
    this.#changed();
  }

  clear(): void {
    this.#readings.clear();
    this.#startOver();
  }

  dispose(): void {
    this.#round++;
    this.#thread?.dispose();
    this.#readings.clear();
  }

  /** Called with every view of an operation: reads on where there is more. */
  notice(operation: OperationView): void {
    const reading = this.#readings.get(operation.operation_id) ?? newReading(operation);
    reading.operation = operation;
    this.#readings.set(operation.operation_id, reading);
    this.#enqueue(reading);
  }

  forget(id: string): void {
    this.#readings.delete(id);
  }

  series(id: string): MetricSeries | undefined {
    const reading = this.#readings.get(id);
    if (!reading) return undefined;
    return reading.series.stdout.count > 0 ? reading.series.stdout : reading.series.stderr;
  }

  view(): MetricView {
    const reading = this.#thread ? [...this.#readings.values()].filter(isBehind).length : 0;
    return { choice: this.#choice, problem: this.#problem, groups: this.#groups, reading };
  }

  #startOver(): void {
    this.#round++;
    this.#thread?.dispose();
    this.#thread = undefined;
    this.#queue.length = 0;
    const operations = [...this.#readings.values()].map(({ operation }) => operation);
    this.#readings.clear();
    const { groups, problem } = patternView(this.#choice.pattern);
    this.#groups = groups;
    this.#problem = problem;
    if (groups.length > 0) this.#thread = new MetricThread(this.#choice.pattern, this.#choice.group);
    for (const operation of operations) this.notice(operation);
  }

  #enqueue(reading: Reading): void {
    if (!this.#thread || reading.queued || !isBehind(reading)) return;
    reading.queued = true;
    this.#queue.push(reading);
    this.#readNext();
  }

  #readNext(): void {
    while (this.#busy < READS_AT_ONCE) {
      const reading = this.#queue.shift();
      if (!reading) return;
      this.#busy++;
      void this.#readOn(reading, this.#round, this.#thread!).finally(() => {
        this.#busy--;
        this.#readNext();
      });
    }
  }

  async #readOn(reading: Reading, round: number, thread: MetricThread): Promise<void> {
    try {
      for (const stream of STREAMS) {
        while (round === this.#round && isStreamBehind(reading, stream)) await this.#readPiece(reading, stream, thread);
      }
      reading.queued = false;
      if (round === this.#round) this.#enqueue(reading);
    } catch (error) {
      // A lost connection is told by the panel, and what is missing is read when the next view of the run comes.
      reading.queued = false;
      if (round === this.#round && error instanceof SlowPattern) this.#giveUp(error.message);
    }
    if (round === this.#round) this.#changed();
  }

  async #readPiece(reading: Reading, stream: StreamName, thread: MetricThread): Promise<void> {
    const { operation_id } = reading.operation;
    const offset = reading.offsets[stream];
    const piece = await this.#caller.call('read_output', { operation_id, stream, offset, length: PIECE });
    const values = await thread.feed(`${operation_id} ${stream}`, piece.text, piece.eof);
    reading.series[stream].add(values);
    reading.offsets[stream] = piece.next_offset;
    reading.ended[stream] = piece.eof;
  }

  #giveUp(problem: string): void {
    this.#problem = problem;
    this.#thread = undefined;
    this.#queue.length = 0;
  }
}

/** What can be chosen of a pattern, or what is wrong with it. */
export function patternView(pattern: string): Pick<MetricView, 'problem' | 'groups'> {
  if (pattern === '') return { problem: null, groups: [] };
  try {
    return { problem: null, groups: metricPattern(pattern).groups };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error), groups: [] };
  }
}

function newReading(operation: OperationView): Reading {
  return {
    offsets: { stdout: 0, stderr: 0 },
    ended: { stdout: false, stderr: false },
    series: { stdout: new MetricSeries(), stderr: new MetricSeries() },
    operation,
    queued: false,
  };
}

const isBehind = (reading: Reading): boolean => STREAMS.some(stream => isStreamBehind(reading, stream));

/** Also a finished stream whose last line has no line break yet: its end is read once. */
function isStreamBehind({ operation, offsets, ended }: Reading, stream: StreamName): boolean {
  const written = operation.output_bytes[stream];
  return offsets[stream] < written || (operation.finished_at !== null && written > 0 && !ended[stream]);
}
