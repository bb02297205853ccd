import { type Arena, injectedDelay, isolation } from '../arena.ts';
import { type Contender, measure, timed } from '../measure.ts';
import { bwrapCommand } from '../peers/bwrap.ts';
import { crunCommand } from '../peers/crunBundle.ts';
import type { Row } from '../row.ts';

/** Goals 1 and 2: how long a bare `true` takes, from the call to the result, and one more process in a live sandbox. */
export async function* start(arena: Arena, turns: number): AsyncGenerator<Row> {
  yield await startRow(arena, turns);
  yield await execRow(arena, turns);
}

const busyboxNone = 'coppice run, busybox image, network none';
const hostNone = 'coppice run, host:, network none';
const hostNat = 'coppice run, host:, network nat (the default)';
const dockerNone = 'docker, network none, API';
const dockerBridge = 'docker, bridge, API';

async function startRow(arena: Arena, turns: number): Promise<Row> {
  const bwrap = bwrapCommand(arena.folder, arena.rootfs);
  const crun = crunCommand(arena.folder, arena.rootfs);
  const ours = (name: string, image: string, network: 'none' | 'nat'): Contender => ({
    name,
    kind: 'ours',
    isolation: isolation.ours,
    once: () => timed(() => arena.run({ image, command: 'true', network })),
  });
  const contenders: Contender[] = [
    ours(busyboxNone, 'tag:bench/busybox', 'none'),
    { name: 'floor (C)', kind: 'floor', isolation: isolation.floor, once: () => arena.floor() },
    ours(hostNone, 'tag:bench/host', 'none'),
    { name: 'overlay + bwrap', kind: 'peer', isolation: isolation.bwrap, once: () => arena.spawner.run(bwrap) },
    ours(hostNat, 'tag:bench/host', 'nat'),
    { name: 'unshare -m + crun', kind: 'peer', isolation: isolation.crun, once: () => arena.spawner.run(crun) },
    ...dockerRuns(arena),
  ];
  const goals = [busyboxNone, hostNone].flatMap(line => [
    { line, atMost: 15 },
    { line, times: 10, betterThan: dockerNone },
  ]);
  return {
    goal: 1,
    title: 'run `true`: create, run, result, clean up',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [...goals, { line: hostNat, times: 10, betterThan: dockerBridge }],
    notes: arena.withoutDocker ? [`no Docker: ${arena.withoutDocker}`] : [],
  };
}

function dockerRuns(arena: Arena): Contender[] {
  const { docker } = arena;
  if (!docker) return [];
  const peer = { kind: 'peer', isolation: isolation.docker, skips: 5 } as const;
  const command = (...network: string[]) => ['docker', ...docker.cli, 'run', '--rm', ...network, 'bench', 'true'];
  return [
    { ...peer, name: dockerNone, once: () => timed(() => arena.dockerRun()) },
    { ...peer, name: dockerBridge, once: () => timed(() => arena.dockerRun({ network: 'bridge' })) },
    { ...peer, name: 'docker run --rm --network none', once: () => arena.spawner.run(command('--network', 'none')) },
    { ...peer, name: 'docker run --rm (bridge)', once: () => arena.spawner.run(command()) },
  ];
}

const execHere = 'exec in a live coppice sandbox';

async function execRow(arena: Arena, turns: number): Promise<Row> {
  await using stack = new AsyncDisposableStack();
  const { sandbox_id } = await arena.client.call('create_sandbox', { image: 'tag:bench/busybox', network: 'none' });
  stack.defer(async () => void (await arena.client.call('stop_sandbox', { sandbox_id })));
  const execOnce = async () => {
    const done = await arena.client.call('exec', { sandbox_id, command: ['true'], wait: true });
    if (done.exit_code !== 0) throw new Error(`exec: exit code ${done.exit_code}`);
    await injectedDelay();
  };
  const contenders: Contender[] = [
    { name: execHere, kind: 'ours', isolation: isolation.ours, once: () => timed(execOnce) },
    ...(await dockerExecs(arena, stack)),
  ];
  return {
    goal: 2,
    title: 'one more process in a live sandbox',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [{ line: execHere, atMost: 6 }],
    notes: [],
  };
}

async function dockerExecs(arena: Arena, stack: AsyncDisposableStack): Promise<Contender[]> {
  const { docker } = arena;
  if (!docker) return [];
  const container = await docker.api.createContainer({
    Image: 'bench',
    Cmd: ['sleep', '3600'],
    HostConfig: { NetworkMode: 'none' },
  });
  await container.start();
  stack.defer(() => container.remove({ force: true }));
  const throughApi = async () => {
    const exec = await container.exec({ Cmd: ['true'], AttachStdout: true });
    const stream = await exec.start({});
    await new Promise(resolve => stream.on('end', resolve).resume());
    if ((await exec.inspect()).ExitCode !== 0) throw new Error('docker exec failed');
  };
  const command = ['docker', ...docker.cli, 'exec', container.id, 'true'];
  const peer = { kind: 'peer', isolation: isolation.docker, skips: 5 } as const;
  return [
    { ...peer, name: 'docker exec, API', once: () => timed(throughApi) },
    { ...peer, name: 'docker exec', once: () => arena.spawner.run(command) },
  ];
}
