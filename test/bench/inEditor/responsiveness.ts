import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { injectedHold } from '../delay.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure } from '../measure.ts';
import type { Row } from '../row.ts';
import { extension } from './activation.ts';
import { LoopHolds } from './loopHolds.ts';
import type { EditorOrder } from './order.ts';

// Goal 16: what runs cost everybody else in the extension host.

const RUNS = 50;

export async function stallRow(order: EditorOrder): Promise<Row> {
  const ours = 'coppice: a run of `true`';
  return {
    goal: 16,
    title: 'the longest that the extension host is held by one run',
    unit: 'ms',
    lines: await measure(
      [
        { name: ours, kind: 'ours', isolation: isolation.ours, once: () => longestHold(run) },
        { name: 'nothing, as long', kind: 'floor', isolation: isolation.extensionHost, once: () => longestHold(rest) },
        dockerContender(order, '`docker run --network none`, spawned', docker => longestHold(docker)),
      ],
      order.turns,
    ),
    goals: [{ line: ours, atMost: 1 }],
    notes: ['of everything that the extension host did between the call and its result'],
  };
}

export async function eventLoopRow(order: EditorOrder): Promise<Row> {
  const ours = `coppice: ${RUNS} runs`;
  return {
    goal: 16,
    title: `the extension host’s event loop during ${RUNS} runs, 99th percentile of its delay`,
    unit: 'ms',
    lines: await measure(
      [
        { name: ours, kind: 'ours', isolation: isolation.ours, once: () => delayDuring(() => fifty(run)) },
        {
          name: 'nothing for two seconds',
          kind: 'floor',
          isolation: isolation.extensionHost,
          once: () => delayDuring(() => sleep(2_000)),
        },
        dockerContender(order, `${RUNS} of \`docker run --network none\`, spawned`, docker =>
          delayDuring(() => fifty(docker)),
        ),
      ],
      Math.max(3, Math.round(order.turns / 6)),
      1,
    ),
    goals: [{ line: ours, atMost: 50 }],
    notes: ['a timer of 5 ms, those 5 ms included'],
  };
}

const fifty = (work: () => Promise<unknown>) => Promise.all(Array.from({ length: RUNS }, work));
const rest = () => sleep(30);

async function run(): Promise<void> {
  const { connection } = await extension.activate();
  const result = await connection.call('run', { image: 'host:', command: 'true', network: 'none', timeout: 0 });
  if (result.status !== 'SUCCESS') throw new Error(`a run ended ${result.status}`);
  injectedHold();
}

/** As an extension would that has no engine. */
function dockerContender(
  { dockerRun }: EditorOrder,
  name: string,
  measured: (docker: () => Promise<void>) => Promise<number>,
): Contender {
  const line = { name, kind: 'peer', isolation: isolation.docker } as const;
  if (typeof dockerRun === 'string') return { ...line, absent: dockerRun };
  const [program, ...args] = dockerRun;
  const docker = async () => {
    const [code] = await once(spawn(program!, args, { stdio: 'ignore' }), 'close');
    if (code !== 0) throw new Error(`docker ended with ${code}`);
  };
  return { ...line, skips: 5, once: () => measured(docker) };
}

async function longestHold(work: () => Promise<void>): Promise<number> {
  await sleep(20);
  using holds = new LoopHolds();
  await work();
  return holds.longestMs;
}

async function delayDuring(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await work();
  delay.disable();
  return delay.percentile(99) / 1e6;
}
