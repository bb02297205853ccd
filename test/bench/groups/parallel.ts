import { cpus } from 'node:os';
import { type Arena, isolation, together } from '../arena.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Row } from '../row.ts';

/** Goals 4 and 6: many at once. */
export async function* parallel(arena: Arena, turns: number): AsyncGenerator<Row> {
  const rounds = Math.max(3, Math.round(turns / 5));
  yield await throughputRow(arena, rounds);
  yield await fanOutRow(arena, rounds);
}

/** What the scheduler lets run at once by default; Docker gets the same. */
const workers = Math.max(8, cpus().length * 2);
const perSecond = async (count: number, work: () => Promise<unknown>) => (count * 1000) / (await timed(work));

async function throughputRow(arena: Arena, rounds: number): Promise<Row> {
  const ours = `coppice, ${workers} at once`;
  const docker = `docker, network none, API, ${workers} at once`;
  const trueRun = () => arena.run({ image: 'tag:bench/busybox', command: 'true' });
  const contenders: Contender[] = [
    {
      name: ours,
      kind: 'ours',
      isolation: isolation.ours,
      once: () => perSecond(100, () => together(100, workers, trueRun)),
    },
    {
      name: `floor (C), ${cpus().length} at once`,
      kind: 'floor',
      isolation: isolation.floor,
      once: async () => 200_000 / (await arena.floorTogether(200, cpus().length)),
    },
  ];
  if (arena.docker)
    contenders.push({
      name: docker,
      kind: 'peer',
      isolation: isolation.docker,
      once: () => perSecond(16, () => together(16, workers, () => arena.dockerRun())),
    });
  return {
    goal: 4,
    title: 'runs of `true` per second',
    unit: 'runs/s',
    lines: await measure(contenders, rounds, 1),
    goals: [{ line: ours, times: 10, betterThan: docker }],
    notes: [],
  };
}

const BRANCHES = 20;
const write = 'echo kept > /root/kept';

async function fanOutRow(arena: Arena, rounds: number): Promise<Row> {
  const ours = 'coppice run kept, 20 runs from it';
  const fanOut = async () => {
    const kept = await arena.run({ image: 'tag:bench/busybox', command: write, disposable: false });
    const branch = () => arena.run({ image: kept.result_image!, command: 'cat /root/kept' });
    await together(BRANCHES, BRANCHES, branch);
  };
  const contenders: Contender[] = [
    { name: ours, kind: 'ours', isolation: isolation.ours, once: () => timed(fanOut) },
    {
      name: '21 floors (C)',
      kind: 'floor',
      isolation: isolation.floor,
      once: async () => (await arena.floor()) + (await arena.floorTogether(BRANCHES, cpus().length)),
    },
  ];
  if (arena.docker)
    contenders.push({
      name: 'docker: run, commit, 20 runs from it, API',
      kind: 'peer',
      isolation: isolation.docker,
      once: () => timed(() => dockerFanOut(arena)),
    });
  return {
    goal: 6,
    title: 'run → snapshot → 20 branches done',
    unit: 'ms',
    lines: await measure(contenders, rounds, 1),
    goals: [{ line: ours, atMost: 400 }],
    notes: [],
  };
}

async function dockerFanOut(arena: Arena): Promise<void> {
  const container = await arena.dockerContainer({ Cmd: ['sh', '-c', write] });
  const { Id } = (await container.commit({ pause: false })) as { Id: string };
  await together(BRANCHES, workers, () => arena.dockerRun({ Image: Id, Cmd: ['cat', '/root/kept'] }));
  await container.remove();
  await arena.docker!.api.getImage(Id).remove({ force: true });
}
