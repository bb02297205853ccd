import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import type Docker from 'dockerode';
import type { EngineClient } from '../../src/client/engineClient.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { makeBusyboxRootfs, makeManyFiles } from '../harness/busyboxRootfs.ts';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { DockerDaemon } from '../harness/docker.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { injectedDelay } from './delay.ts';
import { isolation } from './isolation.ts';
import { type Able, type Contender, timed } from './measure.ts';
import { compile, LineProgram, Spawner } from './peers/programs.ts';

/** Everything a row may need, set up once: an engine of ours with two images, a Docker daemon, the C programs. */
export class Arena implements AsyncDisposable {
  readonly folder: string;
  readonly rootfs: string;
  readonly home: CoppiceHome;
  readonly client: EngineClient;
  readonly native: OnRuntime;
  /** undefined where no daemon can run, with the reason in `withoutDocker`. */
  readonly docker: DockerDaemon | undefined;
  readonly withoutDocker: string | undefined;
  readonly spawner: Spawner;
  readonly #floor: LineProgram;
  readonly #floorProgram: string;
  readonly #stack: AsyncDisposableStack;
  #counter = 0;
  #manyFiles: Promise<{ readonly ours: string; readonly docker: string }> | undefined;

  private constructor(parts: ArenaParts) {
    this.folder = parts.folder;
    this.rootfs = parts.rootfs;
    this.home = parts.home;
    this.client = parts.client;
    this.native = new OnRuntime(parts.client, 'native');
    this.docker = parts.docker;
    this.withoutDocker = parts.withoutDocker;
    this.spawner = parts.spawner;
    this.#floor = parts.floor;
    this.#floorProgram = parts.floorProgram;
    this.#stack = parts.stack;
  }

  static async open(): Promise<Arena> {
    await using stack = new AsyncDisposableStack();
    const { path: folder } = stack.use(new TemporaryFolder());
    spreadChildren(folder);
    // Homes and daemons find their places here too.
    process.env.TMPDIR = folder;
    const rootfs = makeBusyboxRootfs(`${folder}/rootfs`);
    const spawner = stack.adopt(new Spawner(compile('spawner', folder)), program => program.close());
    const floorProgram = compile('floor', folder);
    const floor = stack.adopt(openFloor(floorProgram, folder, 'floor', rootfs), program => program.close());
    const withoutDocker = DockerDaemon.missing();
    const docker = withoutDocker ? undefined : stack.adopt(await DockerDaemon.start(), daemon => daemon.stop());
    await docker?.importFolder(rootfs, 'bench');
    const home = stack.use(new CoppiceHome());
    const client = stack.adopt(await home.connect(), client => client.close());
    await client.call('import_image', { registry_url: 'host:', tag: 'bench/host' });
    await client.call('import_image', { registry_url: `rootfs:${rootfs}`, tag: 'bench/busybox' });
    const parts = { folder, rootfs, home, client, docker, withoutDocker, spawner, floor, floorProgram };
    return new Arena({ ...parts, stack: stack.move() });
  }

  /** A path that was never used, for what a turn makes: nothing was ever deleted where it comes to lie. */
  place(name: string): string {
    return `${this.folder}/${name}-${++this.#counter}`;
  }

  /** One run of ours, from the call to its result. */
  run(input: VerbInput<'run'>): Promise<OperationResult> {
    return this.native.run(input);
  }

  /** Work of Docker's daemon, or why there is none here; slow as it is, it sits out every other turn. */
  dockerPeer(name: string, once: (docker: DockerDaemon) => Promise<number>, more: Partial<Able> = {}): Contender {
    const { docker } = this;
    const line = { name, kind: 'peer', isolation: isolation.docker, ...more } as const;
    if (!docker) return { ...line, absent: `no Docker: ${this.withoutDocker}` };
    return { skips: 5, ...line, once: () => once(docker) };
  }

  /** `docker` with these arguments, as a command. */
  dockerCommand(name: string, ...args: readonly string[]): Contender {
    return this.dockerPeer(name, docker => this.spawner.run(['docker', ...docker.cli, ...args]));
  }

  /** The peers of every row about a run of `true`. */
  dockerRuns(): { readonly none: string; readonly bridge: string; readonly contenders: readonly Contender[] } {
    const none = 'docker, network none, API';
    const bridge = 'docker, bridge, API';
    return {
      none,
      bridge,
      contenders: [
        this.dockerPeer(none, () => timed(() => this.dockerRun())),
        this.dockerPeer(bridge, () => timed(() => this.dockerRun({ network: 'bridge' }))),
        this.dockerCommand('docker run --rm --network none', 'run', '--rm', '--network', 'none', 'bench', 'true'),
        this.dockerCommand('docker run --rm (bridge)', 'run', '--rm', 'bench', 'true'),
      ],
    };
  }

  /** The image with 50,000 files, for us and for Docker, made when it is first asked for. */
  manyFiles(): Promise<{ readonly ours: string; readonly docker: string }> {
    this.#manyFiles ??= this.#makeManyFiles();
    return this.#manyFiles;
  }

  async #makeManyFiles(): Promise<{ readonly ours: string; readonly docker: string }> {
    const folder = makeBusyboxRootfs(`${this.folder}/many`);
    makeManyFiles(`${folder}/srv`, 50_000);
    await this.client.call('import_image', { registry_url: `rootfs:${folder}`, tag: 'bench/many' });
    await this.docker?.importFolder(folder, 'bench-many');
    return { ours: 'tag:bench/many', docker: 'bench-many' };
  }

  async floor(): Promise<number> {
    return Number(await this.#floor.ask('1'));
  }

  /** Milliseconds until `count` sandboxes of the floor are done, `workers` at once. */
  async floorTogether(count: number, workers: number): Promise<number> {
    const programs = Array.from({ length: workers }, (_, n) =>
      openFloor(this.#floorProgram, this.folder, `floor-${++this.#counter}-${n}`, this.rootfs),
    );
    await Promise.all(programs.map(program => program.ask('2')));
    const start = performance.now();
    await Promise.all(programs.map(program => program.ask(String(Math.ceil(count / workers)))));
    const taken = performance.now() - start;
    for (const program of programs) program.close();
    return taken;
  }

  /** Create, start, wait, remove through the API: what `docker run --rm` does, without the command's own start. */
  async dockerRun(options: Docker.ContainerCreateOptions & { readonly network?: string } = {}): Promise<void> {
    const container = await this.dockerContainer(options);
    await container.remove();
  }

  /** Runs to the end and leaves the container there. */
  async dockerContainer({
    network = 'none',
    ...options
  }: Docker.ContainerCreateOptions & { readonly network?: string }) {
    const container = await this.docker!.api.createContainer({
      Image: 'bench',
      Cmd: ['true'],
      ...options,
      HostConfig: { NetworkMode: network },
    });
    await container.start();
    const { StatusCode } = await container.wait();
    if (StatusCode !== 0) throw new Error(`docker: exit code ${StatusCode}`);
    return container;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/**
 * For minutes after files were deleted, ext4 takes ten times as long to make new ones in that part of the disk, and which
 * contender of a row meets that would be chance. What is made in this folder is spread over the disk.
 */
function spreadChildren(folder: string): void {
  try {
    execFileSync('chattr', ['+T', folder], { stdio: 'pipe' });
  } catch (error) {
    console.error(`bench: no chattr +T here, figures of many files may be off: ${(error as Error).message.trim()}`);
  }
}

interface ArenaParts {
  readonly folder: string;
  readonly rootfs: string;
  readonly home: CoppiceHome;
  readonly client: EngineClient;
  readonly docker: DockerDaemon | undefined;
  readonly withoutDocker: string | undefined;
  readonly spawner: Spawner;
  readonly floor: LineProgram;
  readonly floorProgram: string;
  readonly stack: AsyncDisposableStack;
}

function openFloor(program: string, folder: string, name: string, rootfs: string): LineProgram {
  const base = `${folder}/for-${name}`;
  mkdirSync(base);
  return new LineProgram(program, [base, rootfs, '/bin/true']);
}

/** Runs `work` so often, `workers` at once. */
export async function together(count: number, workers: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

/** An engine of ours that runs on this runtime, with a small image. */
export class OnRuntime {
  readonly client: EngineClient;
  readonly image = 'tag:bench/busybox';
  readonly isolation: string;
  /** For a row's title, where another row is about the other runtime. */
  readonly suffix: string;

  constructor(client: EngineClient, runtime: 'native' | 'docker') {
    this.client = client;
    this.isolation = runtime === 'docker' ? isolation.docker : isolation.ours;
    this.suffix = runtime === 'docker' ? ', docker runtime' : '';
  }

  /** One run, from the call to its result, which is a success. */
  async run(input: VerbInput<'run'>): Promise<OperationResult> {
    const result = await this.client.call('run', { network: 'none', ...input });
    if (!('exit_code' in result)) throw new Error('a waiting run answered without a result');
    if (result.status !== 'SUCCESS')
      throw new Error(`${result.title}: ${result.status} ${JSON.stringify(result.error)}`);
    await injectedDelay();
    return result;
  }
}
