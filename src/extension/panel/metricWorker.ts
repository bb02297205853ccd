import { parentPort } from 'node:worker_threads';
import { MetricScan } from './metricScan.ts';

/** The thread that runs people's patterns: one that takes forever is ended with it, and the extension host goes on. */

export type WorkerRequest =
  | { readonly request: number; readonly kind: 'pattern'; readonly pattern: string; readonly group: string }
  /** `end`: the stream is complete with this piece. */
  | {
      readonly request: number;
      readonly kind: 'feed';
      readonly stream: string;
      readonly text: string;
      readonly end: boolean;
    };

export interface WorkerAnswer {
  readonly request: number;
  readonly values: readonly number[];
}

let choice = { pattern: '', group: '0' };
const scans = new Map<string, MetricScan>();

parentPort!.on('message', (request: WorkerRequest) => {
  const answer: WorkerAnswer = { request: request.request, values: work(request) };
  parentPort!.postMessage(answer);
});

function work(request: WorkerRequest): readonly number[] {
  if (request.kind === 'pattern') {
    choice = request;
    scans.clear();
    return [];
  }
  const scan = scans.get(request.stream) ?? new MetricScan(choice.pattern, choice.group);
  scans.set(request.stream, scan);
  const values = scan.feed(request.text);
  if (!request.end) return values;
  scans.delete(request.stream);
  return [...values, ...scan.end()];
}
