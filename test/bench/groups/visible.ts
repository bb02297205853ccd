import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { DockerDaemon } from '../../harness/docker.ts';
import type { Arena, OnRuntime } from '../arena.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Row } from '../row.ts';

export interface Visible {
  /** The folder that is synced. */
  readonly source: string;
  /** The file in it that changes. */
  readonly file: string;
  readonly label: string;
  readonly turns: number;
  readonly warmUps: number;
  /** Milliseconds of the goal; undefined: this size has none. */
  readonly atMost: number | undefined;
}

/** Goal 12, on either runtime: what a run with a directory state takes longer than one without. */
export async function visibleRow(arena: Arena, on: OnRuntime, asked: Visible): Promise<Row> {
  const { source, file, label, turns, warmUps, atMost } = asked;
  const ours = 'coppice: a run with the state against one without';
  let counter = 0;
  const sync = async (changed?: string) => {
    const input = { source, destination: '/app', ...(changed === undefined ? {} : { changed: [changed] }) };
    return (await on.client.call('rsync', input)).directory_state_id;
  };
  const bare = () => timed(() => on.run({ image: on.image, command: 'true' }));
  const withState = (id: string) =>
    timed(() => on.run({ image: on.image, command: 'test -d /app/d0', directory_state_id: id }));
  const state = await sync();
  const contender = (name: string, once: () => Promise<number>): Contender => ({
    name,
    kind: 'ours',
    isolation: on.isolation,
    once,
  });
  const contenders = [
    contender(ours, async () => (await withState(state)) - (await bare())),
    contender('coppice: the first run after one file changed', async () => {
      writeFileSync(file, `seen ${++counter} on ${on.client.engine.pid}\n`);
      const changed = await sync(file);
      return (await withState(changed)) - (await bare());
    }),
    // Without a goal it is about how ours grows.
    ...(atMost === undefined ? [] : [putArchive(arena, source), dockerCp(arena, source)]),
  ];
  return {
    goal: 12,
    title: `state visible in a sandbox, beyond a bare run, ${label}${on.suffix}`,
    unit: 'ms',
    lines: await measure(contenders, turns, warmUps),
    goals: atMost === undefined ? [] : [{ line: ours, atMost }],
    notes: ['the floor is 0: a bare run. The state is in use already, except in the run after a change'],
  };
}

function putArchive(arena: Arena, source: string): Contender {
  let archive: Buffer | undefined;
  return intoContainer(arena, 'docker putArchive of a tar made before', container => {
    archive ??= execFileSync('tar', ['-C', source, '-cf', '-', '.'], { maxBuffer: 2 ** 30 });
    return timed(() => container.putArchive(Readable.from([archive]), { path: '/root' }));
  });
}

function dockerCp(arena: Arena, source: string): Contender {
  return intoContainer(arena, 'docker cp', ({ id }, { cli }) =>
    arena.spawner.run(['docker', ...cli, 'cp', '-q', `${source}/.`, `${id}:/root`]),
  );
}

function intoContainer(
  arena: Arena,
  name: string,
  copy: (container: Docker.Container, docker: DockerDaemon) => Promise<number>,
): Contender {
  const once = async (docker: DockerDaemon) => {
    const container = await docker.api.createContainer({ Image: 'bench', Cmd: ['true'] });
    try {
      return await copy(container, docker);
    } finally {
      await container.remove();
    }
  };
  return arena.dockerPeer(name, once, { skips: 8 });
}
