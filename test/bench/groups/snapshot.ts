import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { residentMemory, treeMemory } from '../../harness/processes.ts';
import type { Arena } from '../arena.ts';
import { diskUsage } from '../diskUsage.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, timed } from '../measure.ts';
import { lineOf, type Row } from '../row.ts';
import { depthRow, dockerDepth } from './depth.ts';

/** Goals 5, 7, 8 and 17: what keeping a run costs, in time, in disk, in depth, in memory. */
export async function* snapshot(arena: Arena, turns: number): AsyncGenerator<Row> {
  for (const work of works) yield await snapshotRow(arena, work, turns);
  yield await changedRow(arena, turns);
  yield await depthRow(arena.native, turns, [await dockerDepth(arena)]);
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
    renaming(arena),
    arena.dockerPeer('docker commit, API', () => dockerCommit(arena, work.command)),
  ];
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

/** The least: the folder that was written into gets another name, which is on disk. */
function renaming(arena: Arena): Contender {
  let counter = 0;
  const once = async () => {
    const written = path.join(arena.folder, `written-${++counter}`);
    mkdirSync(written);
    const kept = `${written}-kept`;
    const taken = await timed(async () => {
      renameSync(written, kept);
      const parent = openSync(arena.folder, 'r');
      fsyncSync(parent);
      closeSync(parent);
    });
    rmdirSync(kept);
    return taken;
  };
  return { name: 'a folder renamed and its parent fsynced', kind: 'floor', isolation: 'no sandbox', once };
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
    arena.dockerPeer(
      'docker diff, API',
      async () => {
        const container = await arena.dockerContainer({ Image: many.docker });
        const taken = await timed(() => container.changes());
        await container.remove();
        return taken;
      },
      { skips: 7 },
    ),
  ];
  return {
    goal: 7,
    title: '`filesystem_changed` on a base of 50,000 files, nothing changed',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [{ line: ours, atMost: 5 }],
    notes: ['every run of ours answers it, so its cost is what a run takes longer on the large base'],
  };
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
