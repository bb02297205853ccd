import path from 'node:path';
import { benchPrograms } from '../../../scripts/benchPrograms.mjs';
import { CoppiceHome } from '../../harness/coppiceHome.ts';
import type { DockerDaemon } from '../../harness/docker.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';
import { type Arena, OnRuntime } from '../arena.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, timed } from '../measure.ts';
import { LineProgram } from '../peers/programs.ts';
import type { Row } from '../row.ts';
import { makeTree } from '../tree.ts';
import { depthRow } from './depth.ts';
import { throughputRow } from './parallel.ts';
import { visibleRow } from './visible.ts';

const testcontainers = path.join(import.meta.dirname, '..', 'programs', 'testcontainers.mjs');

/** Goal 3, and 4, 8 and 12 again: the docker runtime beside what else starts containers on the same daemon. */
export async function* docker(arena: Arena, turns: number): AsyncGenerator<Row> {
  if (!arena.docker) throw new Error(`no Docker: ${arena.withoutDocker}`);
  await using stack = new AsyncDisposableStack();
  const home = stack.use(
    new CoppiceHome({ COPPICE_RUNTIME: 'docker', COPPICE_DOCKER_HOST: `unix://${arena.docker.socket}` }),
  );
  const client = stack.adopt(await home.connect(), connected => connected.close());
  await client.call('import_image', { registry_url: `rootfs:${arena.rootfs}`, tag: 'bench/busybox' });
  const on = new OnRuntime(client, 'docker');
  const few = Math.max(3, Math.round(turns / 2));
  yield await startRow(arena, arena.docker, on, few);
  yield await throughputRow(arena, on, Math.max(3, Math.round(turns / 5)), 1);
  yield await visible(arena, on, few);
  yield await depthRow(on, few, []);
}

async function startRow(arena: Arena, daemon: DockerDaemon, on: OnRuntime, turns: number): Promise<Row> {
  await using stack = new AsyncDisposableStack();
  const none = 'coppice run, docker runtime, network none';
  const nat = 'coppice run, docker runtime, network nat (the default)';
  const ours = (name: string, network: 'none' | 'nat'): Contender => ({
    name,
    kind: 'ours',
    isolation: on.isolation,
    once: () => timed(() => on.run({ image: on.image, command: 'true', network })),
  });
  const runs = arena.dockerRuns();
  const contenders = [
    ours(none, 'none'),
    ours(nat, 'nat'),
    await joined(arena, daemon, stack),
    ...runs.contenders,
    withTestcontainers(arena, daemon, stack, 'none'),
    withTestcontainers(arena, daemon, stack, 'bridge'),
  ];
  return {
    goal: 3,
    title: 'run `true` on Docker: create, run, result, clean up',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [
      { line: none, times: 1, betterThan: runs.none },
      { line: nat, times: 1, betterThan: runs.bridge },
    ],
    notes: ['testcontainers without its reaper, a container of its own that would be started once'],
  };
}

/** The least that a Docker container takes: one that joins a network which is there. */
async function joined(arena: Arena, daemon: DockerDaemon, stack: AsyncDisposableStack): Promise<Contender> {
  const pause = await daemon.api.createContainer({
    Image: 'bench',
    Cmd: ['sleep', '3600'],
    HostConfig: { NetworkMode: 'none' },
  });
  stack.defer(() => pause.remove({ force: true }));
  await pause.start();
  return {
    name: 'docker, joining a network that is there, API',
    kind: 'floor',
    isolation: isolation.docker,
    once: () => timed(() => arena.dockerRun({ network: `container:${pause.id}` })),
  };
}

function withTestcontainers(
  arena: Arena,
  daemon: DockerDaemon,
  stack: AsyncDisposableStack,
  network: 'none' | 'bridge',
): Contender {
  const program = stack.adopt(
    new LineProgram(process.execPath, [testcontainers, benchPrograms, network], {
      DOCKER_HOST: `unix://${daemon.socket}`,
      // It leaves a lock there.
      TMPDIR: arena.folder,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
    }),
    started => started.close(),
  );
  const once = async () => Number(await program.ask('one'));
  return { name: `testcontainers, network ${network}`, kind: 'peer', isolation: isolation.docker, skips: 5, once };
}

async function visible(arena: Arena, on: OnRuntime, turns: number): Promise<Row> {
  using temporary = new TemporaryFolder();
  const source = makeTree(temporary.join('source'), 10_000);
  const file = path.join(source, 'd3', 's3', 'f1260.ts');
  return await visibleRow(arena, on, { source, file, label: '10,000 files', turns, warmUps: 1, atMost: 20 });
}
