import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import { makeBusyboxRootfs } from '../../harness/busyboxRootfs.ts';
import type { DockerDaemon } from '../../harness/docker.ts';
import type { Arena } from '../arena.ts';
import { injectedDelay } from '../delay.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Row } from '../row.ts';
import { makeTree } from '../tree.ts';

const FILES = 10_000;
const OUT = 'files written to this machine, no sandbox';

/** Goal 14: a folder of many files, and one file, out of an image. */
export async function* download(arena: Arena, turns: number): AsyncGenerator<Row> {
  const work = await DownloadWork.prepare(arena);
  try {
    yield await work.folder(Math.max(3, Math.round(turns / 3)));
    yield await work.file(turns);
  } finally {
    work.remove();
  }
}

class DownloadWork {
  readonly #arena: Arena;
  readonly #folder: string;

  private constructor(arena: Arena, folder: string) {
    this.#arena = arena;
    this.#folder = folder;
  }

  static async prepare(arena: Arena): Promise<DownloadWork> {
    const folder = path.join(arena.folder, 'download');
    mkdirSync(folder);
    const rootfs = makeBusyboxRootfs(path.join(folder, 'rootfs'));
    makeTree(path.join(rootfs, 'srv', 'tree'), FILES);
    writeFileSync(path.join(rootfs, 'srv', 'megabyte'), randomBytes(1_000_000));
    await arena.client.call('import_image', { registry_url: `rootfs:${rootfs}`, tag: 'bench/download' });
    await arena.docker?.importFolder(rootfs, 'bench-download');
    return new DownloadWork(arena, folder);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  async folder(turns: number): Promise<Row> {
    const ours = 'coppice download';
    const thrownAway = 'docker getArchive, API, thrown away';
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: OUT, once: () => this.#ours('/srv/tree') },
      {
        name: 'cp -a of the same files',
        kind: 'floor',
        isolation: OUT,
        once: () =>
          this.#into(to => this.#arena.spawner.run(['cp', '-a', path.join(this.#folder, 'rootfs/srv/tree'), to])),
      },
      this.#archive('docker getArchive, API, unpacked by tar', '/srv/tree', true),
      this.#archive(thrownAway, '/srv/tree', false),
      this.#copy('/srv/tree'),
    ];
    return {
      goal: 14,
      title: `download ${FILES.toLocaleString('en')} files`,
      unit: 'ms',
      lines: await measure(contenders, turns, 1),
      goals: [{ line: ours, times: 1, betterThan: thrownAway }],
      notes: ['an archive that is thrown away leaves out half of the work; the goal is as good as that'],
    };
  }

  async file(turns: number): Promise<Row> {
    const ours = 'coppice download';
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: OUT, once: () => this.#ours('/srv/megabyte') },
      {
        name: 'cp of the same file',
        kind: 'floor',
        isolation: OUT,
        once: () =>
          this.#into(to => this.#arena.spawner.run(['cp', path.join(this.#folder, 'rootfs/srv/megabyte'), to])),
      },
      this.#archive('docker getArchive, API, unpacked by tar', '/srv/megabyte', true),
      this.#copy('/srv/megabyte'),
    ];
    return {
      goal: 14,
      title: 'download one file of 1 MB',
      unit: 'ms',
      lines: await measure(contenders, turns),
      goals: [{ line: ours, atMost: 20 }],
      notes: [],
    };
  }

  #ours(from: string): Promise<number> {
    const fetch = async (destination: string) => {
      await this.#arena.client.call('download', { image: 'tag:bench/download', path: from, destination });
      await injectedDelay();
    };
    return this.#into(to => timed(() => fetch(to)));
  }

  /** A place that is new each time; clearing it is not measured. */
  async #into(work: (to: string) => Promise<number>): Promise<number> {
    const to = this.#arena.place('out');
    try {
      return await work(to);
    } finally {
      rmSync(to, { recursive: true, force: true });
    }
  }

  /** What comes is thrown away, or unpacked as it comes. */
  #archive(name: string, from: string, unpacked: boolean): Contender {
    return this.#arena.dockerPeer(name, docker =>
      this.#withContainer(docker, id =>
        this.#into(to =>
          timed(async () => {
            const stream = await docker.api.getContainer(id).getArchive({ path: from });
            if (!unpacked) return finished(stream.resume());
            mkdirSync(to);
            const tar = spawn('tar', ['-C', to, '-xf', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
            const [[code]] = await Promise.all([once(tar, 'close'), pipeline(stream, tar.stdin)]);
            if (code !== 0) throw new Error(`tar ended with ${code}`);
          }),
        ),
      ),
    );
  }

  #copy(from: string): Contender {
    return this.#arena.dockerPeer('docker cp', docker =>
      this.#withContainer(docker, id =>
        this.#into(to => this.#arena.spawner.run(['docker', ...docker.cli, 'cp', '-q', `${id}:${from}`, to])),
      ),
    );
  }

  async #withContainer(docker: DockerDaemon, work: (id: string) => Promise<number>): Promise<number> {
    const container = await docker.api.createContainer({ Image: 'bench-download', Cmd: ['true'] });
    try {
      return await work(container.id);
    } finally {
      await container.remove();
    }
  }
}
