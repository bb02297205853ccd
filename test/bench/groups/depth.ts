import type { Arena, OnRuntime } from '../arena.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, reasonOf, timed } from '../measure.ts';
import { type Absent, isMeasured, type Line, lineOf, type Row } from '../row.ts';

const DEPTH = 200;

/** Goal 8, on either runtime: how deep lineage goes, and what a run costs down there. */
export async function depthRow(on: OnRuntime, turns: number, peers: readonly (Line | Absent)[]): Promise<Row> {
  const ours = 'coppice: lineage built and run from';
  const { first, deepest } = await build(on);
  const { depth } = await on.client.call('lineage', { image: deepest });
  const listed = await on.run({ image: deepest, command: 'ls /root' });
  if (listed.stdout.trim() !== `d${DEPTH}`) throw new Error(`depth ${DEPTH} holds the wrong files: ${listed.stdout}`);
  const contender = (image: string): Contender => ({
    name: image,
    kind: 'ours',
    isolation: on.isolation,
    once: () => timed(() => on.run({ image, command: 'true' })),
  });
  const times = await measure([contender(first), contender(deepest)], turns);
  const [shallow, deep] = times.filter(isMeasured).map(({ p50 }) => p50);
  return {
    goal: 8,
    title: `lineage depth, asked for ${DEPTH}${on.suffix}`,
    unit: 'levels',
    lines: [lineOf(ours, 'ours', on.isolation, [depth]), ...peers],
    goals: [{ line: ours, atLeast: DEPTH }],
    notes: [
      `a run from depth ${DEPTH} takes ${(deep! / shallow!).toFixed(2)} × one from depth 1 (${deep!.toFixed(1)} against ${shallow!.toFixed(1)} ms)`,
    ],
  };
}

async function build(on: OnRuntime): Promise<{ readonly first: string; readonly deepest: string }> {
  const images: string[] = [];
  for (let depth = 1; depth <= DEPTH; depth++) {
    const command = `echo ${depth} > /root/d${depth}; rm -f /root/d${depth - 1}`;
    const { result_image } = await on.run({ image: images.at(-1) ?? on.image, command, disposable: false });
    images.push(result_image!);
  }
  return { first: images[0]!, deepest: images.at(-1)! };
}

/** How many commits upon commits Docker itself takes. */
export async function dockerDepth(arena: Arena): Promise<Line | Absent> {
  const line = ['docker commit on commit', 'peer', isolation.docker] as const;
  const [name, kind] = line;
  if (!arena.docker) return { name, kind, isolation: isolation.docker, absent: `no Docker: ${arena.withoutDocker}` };
  let image = 'bench';
  for (let depth = 0; depth < DEPTH; depth++) {
    try {
      const container = await arena.dockerContainer({ Image: image, Cmd: ['sh', '-c', `echo ${depth} > /root/d`] });
      image = ((await container.commit({ pause: false })) as { Id: string }).Id;
      await container.remove();
    } catch (error) {
      if (/max depth|layer|too many|invalid argument/i.test(String(error))) return lineOf(...line, [depth]);
      return { name, kind, isolation: isolation.docker, absent: reasonOf(error) };
    }
  }
  return lineOf(...line, [DEPTH]);
}
