import type { Arena } from '../arena.ts';
import { injectedDelay } from '../delay.ts';
import { isolation } from '../isolation.ts';
import { type Contender, measure, reasonOf, timed } from '../measure.ts';
import { bwrapCommand } from '../peers/bwrap.ts';
import { crunCommand, runcCommand } from '../peers/ociBundle.ts';
import { PodmanStore } from '../peers/podmanStore.ts';
import type { Row } from '../row.ts';

/** Goals 1 and 2: how long a bare `true` takes, from the call to the result, and one more process in a live sandbox. */
export async function* start(arena: Arena, turns: number): AsyncGenerator<Row> {
  yield await startRow(arena, turns);
  yield await execRow(arena, turns);
}

const busyboxNone = 'coppice run, busybox image, network none';
const hostNone = 'coppice run, host:, network none';
const hostNat = 'coppice run, host:, network nat (the default)';

async function startRow(arena: Arena, turns: number): Promise<Row> {
  const bwrap = bwrapCommand(arena.folder, arena.rootfs);
  const crun = crunCommand(arena.folder, arena.rootfs);
  const runc = runcCommand(arena.folder, arena.rootfs);
  const docker = arena.dockerRuns();
  using stack = new DisposableStack();
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
    { name: 'runc', kind: 'peer', isolation: isolation.runc, once: () => arena.spawner.run(runc) },
    podmanRun(arena, stack),
    ...docker.contenders,
  ];
  const goals = [busyboxNone, hostNone].flatMap(line => [
    { line, atMost: 15 },
    { line, times: 10, betterThan: docker.none },
  ]);
  return {
    goal: 1,
    title: 'run `true`: create, run, result, clean up',
    unit: 'ms',
    lines: await measure(contenders, turns),
    goals: [...goals, { line: hostNat, times: 10, betterThan: docker.bridge }],
    notes: ['what is cleaned up behind the answer shows in runs per second (4)'],
  };
}

function podmanRun(arena: Arena, stack: DisposableStack): Contender {
  const line = { name: 'podman run --rm --network none', kind: 'peer', isolation: isolation.podman } as const;
  const missing = PodmanStore.missing();
  if (missing) return { ...line, absent: missing };
  try {
    const podman = stack.use(new PodmanStore(arena.rootfs));
    const command = podman.run('--network', 'none', 'bench', 'true');
    return { ...line, skips: 5, once: () => arena.spawner.run(command) };
  } catch (error) {
    return { ...line, absent: reasonOf(error) };
  }
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
    {
      name: 'the same program, started on the machine',
      kind: 'floor',
      isolation: 'no sandbox',
      once: () => arena.spawner.run([`${arena.rootfs}/bin/true`]),
    },
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

async function dockerExecs(arena: Arena, stack: AsyncDisposableStack): Promise<readonly Contender[]> {
  const container = await arena.docker?.api.createContainer({
    Image: 'bench',
    Cmd: ['sleep', '3600'],
    HostConfig: { NetworkMode: 'none' },
  });
  if (container) {
    stack.defer(() => container.remove({ force: true }));
    await container.start();
  }
  const throughApi = async () => {
    const exec = await container!.exec({ Cmd: ['true'], AttachStdout: true });
    const stream = await exec.start({});
    await new Promise(resolve => stream.on('end', resolve).resume());
    if ((await exec.inspect()).ExitCode !== 0) throw new Error('docker exec failed');
  };
  return [
    arena.dockerPeer('docker exec, API', () => timed(throughApi)),
    arena.dockerCommand('docker exec', 'exec', container?.id ?? '', 'true'),
  ];
}
