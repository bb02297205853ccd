import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { EngineClient } from '../../src/client/engineClient.ts';
import { CoppiceError } from '../../src/protocol/errors.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { DockerDaemon } from '../harness/docker.ts';
import { eventually } from '../harness/eventually.ts';
import { PodmanService } from '../harness/podman.ts';
import { commandOf, isRunning, processesNaming } from '../harness/processes.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

// What happened is asked of the daemon, never of Coppice's own records.

const kinds = [
  { name: 'Docker', missing: DockerDaemon.missing(), start: () => DockerDaemon.start(), survives: false },
  {
    name: 'Docker with live-restore',
    missing: DockerDaemon.missing(),
    start: () => DockerDaemon.start({ liveRestore: true }),
    survives: true,
  },
  { name: 'Podman', missing: PodmanService.missing(), start: () => PodmanService.start(), survives: true },
];

const LINES = 250;
/** Long enough for a daemon to be killed and started again while it goes on. */
const counting = `trap "exit 143" TERM; i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; usleep 20000; done; echo end > /end`;
const whole = Array.from({ length: LINES }, (_, index) => `line ${index + 1}\n`).join('');

for (const { name, missing, start, survives } of kinds) {
  describe(name, { skip: missing ?? false }, () => {
    let daemon: DockerDaemon | PodmanService;
    let home: CoppiceHome;
    let client: EngineClient;
    let image: string;
    let beforehand: Things;
    const environment = { ...process.env };

    before(async () => {
      daemon = await start();
      process.env.COPPICE_RUNTIME = 'docker';
      process.env.COPPICE_DOCKER_HOST = `unix://${daemon.socket}`;
      await makeThingsOfTheUsers(daemon.api);
      beforehand = await thingsIn(daemon.api);
      home = new CoppiceHome();
      client = await home.connect();
      using folder = new TemporaryFolder();
      const rootfs = folder.join('rootfs');
      mkdirSync(rootfs);
      const imported = await client.call('import_image', { registry_url: `rootfs:${makeBusyboxRootfs(rootfs)}` });
      image = imported.image!;
    });
    after(async () => {
      client.close();
      await home[Symbol.asyncDispose]();
      await daemon.stop();
      process.env = environment;
    });

    const begin = async (command: string, more: object = {}): Promise<string> => {
      const started = await client.call('run', { command, image, network: 'none', timeout: 0, wait: false, ...more });
      return started.operation_id!;
    };
    const ended = async (id: string): Promise<OperationResult> => {
      const { results, pending } = await client.call('wait_operations', { operation_ids: [id], timeout: 120 });
      assert.deepEqual(pending, []);
      return results[id] as OperationResult;
    };
    const output = async (id: string): Promise<string> =>
      (await client.call('read_output', { operation_id: id, stream: 'stdout', length: 1_000_000 })).text;
    const hasPrinted = (id: string, line: string) =>
      eventually(`${line} is printed`, async () => (await output(id)).includes(`${line}\n`));
    const imported = async (source: string) => {
      const result = await client.call('import_image', { registry_url: source });
      if (result.status !== 'SUCCESS') throw new Error(result.error?.message);
      return result;
    };
    const containerOf = (id: string) => ours(daemon.api, `coppice.id=${id}`);
    const killEngine = async () => {
      process.kill(client.engine.pid, 'SIGKILL');
      await client.closed;
    };
    /** Networks that are held ready are the only containers that stay. */
    const nothingLeft = () =>
      eventually('only what holds a network is left', async () => {
        const kinds = (await ours(daemon.api)).map(({ Labels }) => Labels['coppice.kind']);
        return kinds.every(kind => kind === 'pause' || kind === 'view');
      });

    it('a run is the container that it says, of the image that it says, within its limits', async () => {
      const events = await Events.of(daemon.api);
      const id = await begin('while [ ! -e /go ]; do usleep 10000; done; echo done > /made; exit 3', {
        disposable: false,
        limits: { memory: '64m', pids: 50, cpus: 0.5 },
        env: { COLOUR: 'green' },
      });
      const [listed] = await eventually('it runs', async () => {
        const found = await containerOf(id);
        return found[0]?.State === 'running' && found;
      });
      const container = daemon.api.getContainer(listed!.Id);
      const seen = await container.inspect();
      assert.equal(seen.Config.Labels['coppice.kind'], 'run');
      assert.equal(withoutAlgorithm(seen.Image), withoutAlgorithm((await imageNamed(daemon.api, image)).Id));
      assert.ok(seen.Config.Env.includes('COLOUR=green'));
      assert.equal(seen.HostConfig.Memory, 64 * 2 ** 20);
      assert.equal(seen.HostConfig.PidsLimit, 50);
      assert.equal(seen.HostConfig.NanoCpus || (seen.HostConfig.CpuQuota ?? 0) * 10_000, 5e8);
      assert.deepEqual(seen.Mounts, [], 'nothing of the machine is mounted');
      assert.equal(seen.HostConfig.Privileged, false);
      await touch(container, '/go');
      const result = await ended(id);
      assert.equal(result.exit_code, 3);
      await eventually('the container is gone', async () => (await containerOf(id)).length === 0);
      const told = await events.end(listed!.Id);
      assert.deepEqual(
        told.filter(({ action }) => /^(create|start|die|destroy|remove)$/.test(action)).map(({ action }) => action),
        ['create', 'start', 'die', daemon instanceof DockerDaemon ? 'destroy' : 'remove'],
      );
      const { exitCode } = told.find(({ action }) => action === 'die')!;
      if (exitCode !== undefined) assert.equal(exitCode, '3');
      const kept = await imageNamed(daemon.api, result.result_image!);
      assert.equal(kept.Config.Labels['coppice.operation'], id);
      assert.equal(
        withoutAlgorithm(kept.Config.Labels['coppice.parent']!),
        withoutAlgorithm((await imageNamed(daemon.api, image)).Id),
      );
      assert.equal(kept.RootFS.Layers!.length, 2, 'its parent’s layer and one of its own');
      assert.ok(!JSON.stringify(kept.Config).includes('green'), 'the environment of a run is no part of its image');
    });

    it('a run that is thrown away leaves neither image nor container', async () => {
      const images = (await daemon.api.listImages()).length;
      const id = await begin('echo gone > /gone');
      assert.equal((await ended(id)).status, 'SUCCESS');
      await nothingLeft();
      assert.equal((await daemon.api.listImages()).length, images);
    });

    it('an image that was there before: entry point, health check and volume of it lose nothing', async () => {
      for (const odd of ['A/B', 'a:b:c', 'not-there'])
        await assert.rejects(imported(`docker-daemon:${odd}`), /no name of an image|has no image/);
      const before = await theirs(daemon.api);
      const adopted = await imported('docker-daemon:mine');
      assert.match(adopted.hints.join(), /declares volumes \(\/data\)/);
      const id = await begin('echo kept > /data/f; sleep 1; echo $MINE', { image: adopted.image, disposable: false });
      const [running] = await eventually('it runs', async () => {
        const found = await containerOf(id);
        return found[0]?.State === 'running' && found;
      });
      const seen = await daemon.api.getContainer(running!.Id).inspect();
      assert.deepEqual(seen.Mounts, [], 'what is written to a volume would be in no image');
      if (daemon instanceof DockerDaemon) assert.equal(seen.State.Health, undefined, 'nothing would act on it');
      const result = await ended(id);
      assert.equal(result.stdout, 'yes\n', 'its command is the run’s, not its entry point');
      await holds(client, result.result_image!, '/data/f', 'kept\n');
      const { config } = await client.call('get_image', { image: adopted.image! });
      assert.deepEqual(config.entrypoint, ['/bin/false'], 'it is told all the same');
      assert.deepEqual(await theirs(daemon.api), before, 'the user’s own is as it was');
    });

    it(`killed and started again during a run: ${survives ? 'it goes on' : 'it ends, and says so'}`, async () => {
      const id = await begin(counting, { disposable: false });
      await hasPrinted(id, 'line 50');
      await daemon.kill();
      await sleep(500);
      await daemon.restart();
      const result = await ended(id);
      const printed = await output(id);
      if (survives) {
        assert.equal(printed, whole);
        assert.equal(result.status, 'SUCCESS', result.error?.message);
        await holds(client, result.result_image!, '/end', 'end\n');
      } else {
        assert.equal(result.status, 'FAILED');
        // A daemon that starts stops what an earlier one left running.
        assert.deepEqual([result.exit_code, result.signal], [143, 'SIGTERM']);
        const lines = printed.split('\n').length - 1;
        assert.ok(lines >= 50 && lines < LINES, `${lines} lines`);
        assert.equal(printed, whole.slice(0, printed.length), 'what came before is whole');
      }
      await nothingLeft();
    });

    it('killed and started again: a process in a sandbox is cut off, and does not go on unheard', async () => {
      const { sandbox_id } = await client.call('create_sandbox', { image, network: 'none', detached: true });
      const { process_id } = await client.call('exec', { sandbox_id, command: ['sleep', '4711'] });
      const sleeping = () => processesNaming(daemon.folder).filter(pid => commandOf(pid) === 'sleep 4711');
      await eventually('it runs', () => sleeping().length === 1);
      await daemon.kill();
      await daemon.restart();
      const { code } = await failure(client.call('wait_process', { process_id }));
      assert.equal(code, 'interrupted');
      assert.deepEqual(sleeping(), []);
      await client.call('stop_sandbox', { sandbox_id }).catch(error => assert.equal(error.code, 'conflict'));
      await nothingLeft();
    });

    it('is found again: runs, images and files', async () => {
      await holds(client, image, '/etc/group', 'root:x:0:\nnogroup:x:65534:\n');
      assert.equal((await ended(await begin('echo hi'))).status, 'SUCCESS');
    });

    it('the engine killed during a run: the next follows it to its end, no line lost', async () => {
      const id = await begin(counting, { disposable: false });
      await hasPrinted(id, 'line 50');
      await killEngine();
      await sleep(300);
      client = await home.connect();
      const result = await ended(id);
      assert.equal(await output(id), whole);
      assert.equal(result.status, 'SUCCESS', result.error?.message);
      await holds(client, result.result_image!, '/end', 'end\n');
      await nothingLeft();
    });

    it('the engine killed, and the run ended before the next starts', async () => {
      const id = await begin('echo first; sleep 1; echo last; exit 7');
      await hasPrinted(id, 'first');
      await killEngine();
      await eventually('it has ended', async () => (await containerOf(id)).every(({ State }) => State === 'exited'));
      client = await home.connect();
      const result = await ended(id);
      assert.deepEqual([result.status, result.exit_code, await output(id)], ['FAILED', 7, 'first\nlast\n']);
      await nothingLeft();
    });

    it('both killed during a run', async () => {
      const id = await begin(counting);
      await hasPrinted(id, 'line 50');
      await Promise.all([killEngine(), daemon.kill()]);
      await daemon.restart();
      client = await home.connect();
      const result = await ended(id);
      const printed = await output(id);
      assert.equal(result.status, survives ? 'SUCCESS' : 'FAILED', result.error?.message);
      assert.equal(printed, whole.slice(0, printed.length));
      if (survives) assert.equal(printed, whole);
      await nothingLeft();
    });

    it('what stayed because the daemon was away when the engine started goes when it is asked for', async () => {
      const { sandbox_id } = await client.call('create_sandbox', { image, network: 'none', detached: true });
      await client.call('exec', { sandbox_id, command: ['true'], wait: true });
      await Promise.all([killEngine(), daemon.kill()]);
      client = await home.connect();
      assert.deepEqual((await client.call('list_sandboxes', { show_terminated: true })).sandboxes, []);
      await daemon.restart();
      assert.equal((await containerOf(sandbox_id)).length, 1, 'nobody has taken it away yet');
      const { removed } = await client.call('clean_up', {});
      assert.ok(
        removed.some(what => what.includes(sandbox_id)),
        removed.join(),
      );
      assert.deepEqual(await containerOf(sandbox_id), []);
      assert.equal((await ended(await begin('echo hi'))).status, 'SUCCESS', 'what is used stays');
      await holds(client, image, '/etc/group', 'root:x:0:\nnogroup:x:65534:\n');
    });

    it('wiping leaves what was there before, and nothing else', async () => {
      assert.ok((await ours(daemon.api)).length + (await daemon.api.listImages()).length > 2);
      await client.call('wipe', { confirm: true });
      await client.closed;
      await eventually('the engine is gone', () => !isRunning(client.engine.pid));
      assert.deepEqual(await thingsIn(daemon.api), beforehand);
    });
  });
}

/** Of what must not succeed. */
async function failure(asked: Promise<unknown>): Promise<CoppiceError> {
  const error = await asked.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(error instanceof CoppiceError, `it failed with ${error}`);
  return error;
}

interface Things {
  readonly containers: readonly string[];
  readonly images: readonly string[];
  readonly volumes: readonly string[];
}

async function thingsIn(api: Docker): Promise<Things> {
  const [containers, images, { Volumes: volumes }] = await Promise.all([
    api.listContainers({ all: true }),
    api.listImages({ all: true }),
    api.listVolumes(),
  ]);
  return {
    containers: containers.map(({ Id, State }) => `${Id} ${State}`).sort(),
    images: images.map(({ Id, RepoTags }) => `${Id} ${(RepoTags ?? []).join()}`).sort(),
    volumes: (volumes ?? []).map(({ Name }) => Name).sort(),
  };
}

/** An image, a container and a volume that have nothing to do with Coppice. */
async function makeThingsOfTheUsers(api: Docker): Promise<void> {
  using folder = new TemporaryFolder();
  const rootfs = folder.join('rootfs');
  mkdirSync(rootfs);
  makeBusyboxRootfs(rootfs);
  const tar = spawn('tar', ['-C', rootfs, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const changes = ['VOLUME /data', 'ENTRYPOINT ["/bin/false"]', 'ENV MINE=yes', 'CMD ["/bin/sh"]'];
  const answer = await api.importImage(tar.stdout, { repo: 'mine', tag: 'latest', changes });
  await new Promise<void>((resolve, reject) =>
    api.modem.followProgress(answer, error => (error ? reject(error) : resolve())),
  );
  rmSync(rootfs, { recursive: true });
  await api.createVolume({ Name: 'mine' });
  await api.createContainer({ name: 'mine', Image: 'mine:latest', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } });
}

/** The user's image, but for when it got a name last. */
async function theirs(api: Docker): Promise<Partial<Docker.ImageInspectInfo>> {
  const { Id, RepoTags, Config, RootFS } = await api.getImage('mine').inspect();
  return { Id, RepoTags, Config, RootFS };
}

const ours = (api: Docker, label = 'coppice.home') => api.listContainers({ all: true, filters: { label: [label] } });

const withoutAlgorithm = (id: string): string => id.replace('sha256:', '');

/** The image that the daemon has under one of our UUIDs. */
async function imageNamed(api: Docker, uuid: string): Promise<Docker.ImageInspectInfo> {
  const all = await api.listImages();
  const found = all.find(({ RepoTags }) => RepoTags?.some(name => name.endsWith(`:${uuid}`)));
  assert.ok(found, `the daemon has no image ${uuid}`);
  return api.getImage(found.Id).inspect();
}

async function touch(container: Docker.Container, path: string): Promise<void> {
  const exec = await container.exec({ Cmd: ['touch', path], AttachStdout: true });
  (await exec.start({})).resume();
}

async function holds(client: EngineClient, image: string, path: string, content: string): Promise<void> {
  const read = await client.call('read_file', { image, path });
  assert.equal((read as { content?: string }).content, content);
}

interface Told {
  readonly action: string;
  readonly exitCode: string | undefined;
}

/** As `docker events` shows them, from now on. */
class Events {
  readonly #stream: NodeJS.ReadableStream;
  #text = '';

  private constructor(stream: NodeJS.ReadableStream) {
    this.#stream = stream;
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      this.#text += text;
    });
    stream.on('error', () => undefined);
  }

  static async of(api: Docker): Promise<Events> {
    return new Events(await api.getEvents({ filters: { type: ['container'] } }));
  }

  /** What was told of one container until it went. */
  async end(container: string): Promise<readonly Told[]> {
    const told = await eventually('the end of the container is told', () => {
      const all = this.#of(container);
      return all.some(({ action }) => action === 'destroy' || action === 'remove') && all;
    });
    (this.#stream as unknown as { destroy(): void }).destroy();
    return told;
  }

  #of(container: string): readonly Told[] {
    const lines = this.#text.split('\n').slice(0, -1);
    return lines
      .filter(line => line.trim() !== '')
      .map(line => JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: Record<string, string> } })
      .filter(({ Actor }) => Actor.ID === container)
      .map(({ Action, Actor }) => ({
        action: Action,
        exitCode: Actor.Attributes.exitCode ?? Actor.Attributes.containerExitCode,
      }));
  }
}
