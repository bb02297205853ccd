import { cpus } from 'node:os';
import { type Arena, type OnRuntime, together } from '../arena.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Row } from '../row.ts';

/** Goals 4 and 6: many at once. */
export async function* parallel(arena: Arena, turns: number): AsyncGenerator<Row> {
  const rounds = Math.max(3, Math.round(turns / 5));
  yield await throughputRow(arena, arena.native, rounds, 10);
  yield await fanOutRow(arena, rounds);
}

/** What the scheduler lets run at once by default; Docker gets the same. */
const workers = Math.max(8, cpus().length * 2);
const perSecond = async (count: number, work: () => Promise<unknown>) => (count * 1000) / (await timed(work));

/** Goal 4, on either runtime; `times` Docker's own rate is what it shall reach. */
export async function throughputRow(arena: Arena, on: OnRuntime, rounds: number, times: number): Promise<Row> {
  const ours = `coppice, ${workers} at once`;
  const docker = `docker, network none, API, ${workers} at once`;
  const count = times === 1 ? 16 : 100;
  const contenders: Contender[] = [
    {
      name: ours,
      kind: 'ours',
      isolation: on.isolation,
      once: () => perSecond(count, () => together(count, workers, () => on.run({ image: on.image, command: 'true' }))),
    },
    {
      name: `floor (C), ${cpus().length} at once`,
      kind: 'floor',
      isolation: isolation.floor,
      once: async () => 200_000 / (await arena.floorTogether(200, cpus().length)),
    },
    arena.dockerPeer(docker, () => perSecond(16, () => together(16, workers, () => arena.dockerRun())), { skips: 0 }),
  ];
  return {
    goal: 4,
    title: `runs of \`true\` per second${on.suffix}`,
    unit: 'runs/s',
    lines: await measure(contenders, rounds, 1),
    goals: [{ line: ours, times, betterThan: docker }],
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
    arena.dockerPeer('docker: run, commit, 20 runs from it, API', () => timed(() => dockerFanOut(arena)), { skips: 0 }),
  ];
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
