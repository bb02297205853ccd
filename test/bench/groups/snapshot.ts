import { residentMemory, treeMemory } from '../../harness/processes.ts';
import { type Arena, isolation } from '../arena.ts';
import { diskUsage } from '../diskUsage.ts';
import { type Contender, measure, timed } from '../measure.ts';
import { lineOf, type Row } from '../row.ts';

/** Goals 5, 7, 8 and 17: what keeping a run costs, in time, in disk, in depth, in memory. */
export async function* snapshot(arena: Arena, turns: number): AsyncGenerator<Row> {
  for (const work of works) yield await snapshotRow(arena, work, turns);
  yield await changedRow(arena, turns);
  yield await depthRow(arena, turns);
  yield await diskRow(arena);
  yield await memoryRow(arena);
}

interface Work {
  readonly title: string;
  readonly command: string;
  readonly slow: boolean;
}
const works: readonly Work[] = [
  { title: 'one empty file', command: ': > /root/file', slow: false },
  {
    title: '1,000 files',
    command: 'i=0; while [ $i -lt 1000 ]; do echo $i > /root/f$i; i=$((i+1)); done',
    slow: false,
  },
  { title: '100 MB', command: 'dd if=/dev/zero of=/root/big bs=1M count=100 2>/dev/null', slow: true },
];

/**
 * The command's last act is to print the time. What passes from there until the client has its answer holds the end of
 * the sandbox and, in a kept run, the snapshot: the difference between kept and thrown away is the snapshot.
 */
async function snapshotRow(arena: Arena, work: Work, turns: number): Promise<Row> {
  const ours = 'coppice, kept against thrown away';
  const tail = async (disposable: boolean) => {
    const result = await arena.run({ image: 'tag:bench/host', command: `${work.command}; date +%s.%N`, disposable });
    return performance.timeOrigin + performance.now() - Number(result.stdout) * 1000;
  };
  const thrownAway: number[] = [];
  const kept: number[] = [];
  const contenders: Contender[] = [
    {
      name: ours,
      kind: 'ours',
      isolation: isolation.ours,
      once: async () => {
        const [without, withSnapshot] = [await tail(true), await tail(false)];
        thrownAway.push(without);
        kept.push(withSnapshot);
        return withSnapshot - without;
      },
    },
  ];
  if (arena.docker)
    contenders.push({
      name: 'docker commit, API',
      kind: 'peer',
      isolation: isolation.docker,
      skips: 5,
      once: () => dockerCommit(arena, work.command),
    });
  const lines = await measure(contenders, work.slow ? Math.ceil(turns / 3) : turns);
  return {
    goal: 5,
    title: `snapshot after a run that wrote ${work.title}`,
    unit: 'ms',
    lines,
    goals: [{ line: ours, atMost: 5 }],
    notes: [
      `from the command's end to the client's result: thrown away ${lineOf('', 'ours', '', thrownAway).p50.toFixed(1)} ms, ` +
        `kept ${lineOf('', 'ours', '', kept).p50.toFixed(1)} ms; both write their files through to disk behind the answer`,
    ],
  };
}

async function dockerCommit(arena: Arena, command: string): Promise<number> {
  const container = await arena.dockerContainer({ Cmd: ['sh', '-c', command] });
  let image = '';
  const taken = await timed(async () => {
    image = ((await container.commit({ pause: false })) as { Id: string }).Id;
  });
  await container.remove();
  await arena.docker!.api.getImage(image).remove({ force: true });
  return taken;
}

async function changedRow(arena: Arena, turns: number): Promise<Row> {
  const ours = 'coppice: a run on 50,000 files against one on a small base';
  const many = await arena.manyFiles();
  const answer = (image: string) =>
    timed(async () => {
      const { filesystem_changed } = await arena.run({ image, command: 'true' });
      if (filesystem_changed !== false) throw new Error('a run of `true` says that it changed files');
    });
  const contenders: Contender[] = [
    {
      name: ours,
      kind: 'ours',
      isolation: isolation.ours,
      once: async () => {
        const small = await answer('tag:bench/busybox');
        return (await answer(many.ours)) - small;
      },
    },
  ];
  if (arena.docker) {
    contenders.push({
      name: 'docker diff, API',
      kind: 'peer',
      isolation: isolation.docker,
      skips: 7,
      once: async () => {
        const container = await arena.dockerContainer({ Image: many.docker });
        const taken = await timed(() => container.changes());
        await container.remove();
        return taken;
      },
    });
  }
  return {
    goal: 7,
    title: '`filesystem_changed` on a base of 50,000 files, nothing changed',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [{ line: ours, atMost: 5 }],
    notes: ['every run of ours answers it, so its cost is what a run takes longer on the large base'],
  };
}

const DEPTH = 200;

async function depthRow(arena: Arena, turns: number): Promise<Row> {
  const ours = 'coppice: lineage built and run from';
  const images: string[] = [];
  let image = 'tag:bench/busybox';
  for (let depth = 1; depth <= DEPTH; depth++) {
    const command = `echo ${depth} > /root/d${depth}; rm -f /root/d${depth - 1}`;
    image = (await arena.run({ image, command, disposable: false })).result_image!;
    images.push(image);
  }
  const { depth } = await arena.client.call('lineage', { image });
  const listed = await arena.run({ image, command: 'ls /root' });
  if (listed.stdout.trim() !== `d${DEPTH}`) throw new Error(`depth ${DEPTH} holds the wrong files: ${listed.stdout}`);
  const times = await measure(
    [images[0]!, image].map((from, index) => ({
      name: index === 0 ? 'first' : 'deepest',
      kind: 'ours',
      isolation: isolation.ours,
      once: () => timed(() => arena.run({ image: from, command: 'true' })),
    })),
    turns,
  );
  const [first, deepest] = times.map(({ p50 }) => p50);
  const lines = [lineOf(ours, 'ours', isolation.ours, [depth])];
  if (arena.docker) lines.push(lineOf('docker commit on commit', 'peer', isolation.docker, [await dockerDepth(arena)]));
  return {
    goal: 8,
    title: `lineage depth, asked for ${DEPTH}`,
    unit: 'levels',
    lines,
    goals: [{ line: ours, atLeast: DEPTH }],
    notes: [
      `a run from depth ${DEPTH} takes ${(deepest! / first!).toFixed(2)} × one from depth 1 (${deepest!.toFixed(1)} against ${first!.toFixed(1)} ms)`,
    ],
  };
}

async function dockerDepth(arena: Arena): Promise<number> {
  let image = 'bench';
  for (let depth = 0; depth < DEPTH; depth++) {
    try {
      const container = await arena.dockerContainer({ Image: image, Cmd: ['sh', '-c', `echo ${depth} > /root/d`] });
      image = ((await container.commit({ pause: false })) as { Id: string }).Id;
      await container.remove();
    } catch (error) {
      if (!/max depth|layer|too many|invalid argument/i.test(String(error))) throw error;
      return depth;
    }
  }
  return DEPTH;
}

async function diskRow(arena: Arena): Promise<Row> {
  const ours = 'coppice: a kept run that wrote one small file';
  const count = 50;
  const before = diskUsage(arena.home.path);
  for (let n = 0; n < count; n++)
    await arena.run({ image: 'tag:bench/busybox', command: `echo ${n} > /root/n`, disposable: false });
  const each = (diskUsage(arena.home.path) - before) / count / 1024;
  return {
    goal: 17,
    title: 'disk per branch',
    unit: 'KB',
    lines: [lineOf(ours, 'ours', isolation.ours, [each])],
    goals: [{ line: ours, atMost: 64 }],
    notes: ['everything that grew in COPPICE_HOME, records and write-ahead log included'],
  };
}

async function memoryRow(arena: Arena): Promise<Row> {
  const ours = 'coppice engine, idle after this benchmark';
  const { pid } = arena.client.engine;
  return {
    goal: 17,
    title: 'memory of an idle engine',
    unit: 'MB',
    lines: [lineOf(ours, 'ours', isolation.ours, [residentMemory(pid)])],
    goals: [{ line: ours, atMost: 90 }],
    notes: [`with its namespace host and their children ${treeMemory(pid).toFixed(0)} MB (proportional set size)`],
  };
}
