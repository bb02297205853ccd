import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { EngineClient } from '../../../src/client/engineClient.ts';
import { FolderWatcher } from '../../../src/workspace/folderWatcher.ts';
import { CoppiceHome } from '../../harness/coppiceHome.ts';
import { type Arena, isolation } from '../arena.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Goal, Row } from '../row.ts';
import { makeTree } from '../tree.ts';

/** Goals 9 to 13: a folder becomes a directory state, and a sandbox sees it. */
export async function* sync(arena: Arena, turns: number): AsyncGenerator<Row> {
  for (const files of [10_000, 50_000]) {
    const work = new SyncWork(arena, files);
    const rounds = Math.max(3, Math.round(turns / (files / 2_000)));
    yield await work.cold(rounds);
    await work.settle();
    yield await work.nothing(rounds * 2);
    yield await work.oneChange(rounds * 2);
    yield await work.visible(rounds * 2);
    if (files === 10_000) yield await work.announced(turns);
    work.remove();
  }
}

const COPIES = 'a copy on this machine, no sandbox';
const STORE = 'the store, no sandbox';

class SyncWork {
  readonly #arena: Arena;
  readonly #label: string;
  readonly #goals: boolean;
  readonly #warmUps: number;
  readonly #folder: string;
  readonly #source: string;
  readonly #repository: string;
  readonly #file: string;
  #counter = 0;

  constructor(arena: Arena, files: number) {
    this.#arena = arena;
    this.#label = `${files.toLocaleString('en')} files`;
    // The goals are about 10,000 files.
    this.#goals = files === 10_000;
    this.#warmUps = files === 10_000 ? 3 : 1;
    this.#folder = path.join(arena.folder, `sync-${files}`);
    this.#source = makeTree(path.join(this.#folder, 'source'), files);
    this.#repository = path.join(this.#folder, 'repository');
    this.#file = path.join(this.#source, 'd3', 's3', 'f1260.ts');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** Everything that comes later finds what it knows already. */
  async settle(): Promise<void> {
    await this.#sync();
    await this.#arena.spawner.run(this.#rsync('copy'));
    this.#git(this.#repository);
    await this.#arena.spawner.run(this.#add(this.#repository));
  }

  async cold(turns: number): Promise<Row> {
    const ours = 'coppice rsync, empty store';
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: STORE, once: () => this.#coldStore() },
      {
        name: 'rsync -a',
        kind: 'peer',
        isolation: COPIES,
        once: async () => {
          const target = this.#arena.place('copy');
          const taken = await this.#arena.spawner.run(['rsync', '-a', `${this.#source}/`, target]);
          rmSync(target, { recursive: true });
          return taken;
        },
      },
      {
        name: 'git add -A',
        kind: 'peer',
        isolation: STORE,
        once: async () => {
          const repository = this.#arena.place('git');
          this.#git(repository);
          const taken = await this.#arena.spawner.run(this.#add(repository));
          rmSync(repository, { recursive: true });
          return taken;
        },
      },
    ];
    return {
      goal: 11,
      title: `sync, cold, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, 1),
      goals: this.#only({ line: ours, times: 1 / 1.5, betterThan: 'rsync -a' }),
      notes: ['the engine and its sync thread run already; each turn has a store of its own'],
    };
  }

  async #coldStore(): Promise<number> {
    await using home = new CoppiceHome();
    const client = await home.connect();
    const small = path.join(this.#folder, 'small');
    mkdirSync(small, { recursive: true });
    await client.call('rsync', { source: small, destination: '/app' });
    const taken = await timed(() => this.#sync(undefined, client));
    client.close();
    return taken;
  }

  async nothing(turns: number): Promise<Row> {
    const watched = 'coppice rsync, watched';
    const walked = 'coppice rsync, all files looked at';
    const contenders: Contender[] = [
      { name: watched, kind: 'ours', isolation: STORE, once: () => timed(() => this.#sync([])) },
      { name: walked, kind: 'ours', isolation: STORE, once: () => timed(() => this.#sync()) },
      ...this.#peers(() => undefined),
    ];
    return {
      goal: 9,
      title: `sync, nothing changed, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, this.#warmUps),
      goals: this.#only({ line: watched, atMost: 5 }, { line: walked, times: 1, betterThan: 'rsync -a' }),
      notes: [],
    };
  }

  async oneChange(turns: number): Promise<Row> {
    const watched = 'coppice rsync, watched';
    const change = () => writeFileSync(this.#file, `changed ${++this.#counter}\n`);
    const contenders: Contender[] = [
      {
        name: watched,
        kind: 'ours',
        isolation: STORE,
        once: () => {
          change();
          return timed(() => this.#sync([this.#file]));
        },
      },
      {
        name: 'coppice rsync, all files looked at',
        kind: 'ours',
        isolation: STORE,
        once: () => {
          change();
          return timed(() => this.#sync());
        },
      },
      ...this.#peers(change),
    ];
    return {
      goal: 10,
      title: `sync, one file changed, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, this.#warmUps),
      goals: this.#only({ line: watched, atMost: 20 }),
      notes: [],
    };
  }

  async visible(turns: number): Promise<Row> {
    const ours = 'coppice: a run with the state against one without';
    const image = 'tag:bench/busybox';
    const command = 'true';
    const state = await this.#sync();
    const bare = () => timed(() => this.#arena.run({ image, command }));
    const withState = (id: string) => timed(() => this.#arena.run({ image, command, directory_state_id: id }));
    const contenders: Contender[] = [
      {
        name: ours,
        kind: 'ours',
        isolation: isolation.ours,
        once: async () => (await withState(state)) - (await bare()),
      },
      {
        name: 'coppice: the first run after one file changed',
        kind: 'ours',
        isolation: isolation.ours,
        once: async () => {
          writeFileSync(this.#file, `changed ${++this.#counter}\n`);
          const changed = await this.#sync([this.#file]);
          return (await withState(changed)) - (await bare());
        },
      },
      ...this.#putArchive(),
    ];
    return {
      goal: 12,
      title: `state visible in a sandbox, beyond a bare run, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, this.#warmUps),
      goals: this.#only({ line: ours, atMost: 5 }),
      notes: [],
    };
  }

  #putArchive(): Contender[] {
    const { docker } = this.#arena;
    if (!docker) return [];
    const archive = execFileSync('tar', ['-C', this.#source, '-cf', '-', '.'], { maxBuffer: 2 ** 30 });
    const once = async () => {
      const container = await docker.api.createContainer({ Image: 'bench', Cmd: ['true'] });
      const taken = await timed(() => container.putArchive(Readable.from([archive]), { path: '/root' }));
      await container.remove();
      return taken;
    };
    return [{ name: 'docker putArchive', kind: 'peer', isolation: isolation.docker, skips: 5, once }];
  }

  async announced(turns: number): Promise<Row> {
    const ours = 'coppice: saved, watched, synced';
    let saved = () => {};
    const watcher = new FolderWatcher({
      folder: this.#source,
      excludes: { defaults: true, gitignore: true, exclude: [] },
      onChange: change => {
        void this.#sync(change.kind === 'paths' ? change.paths : undefined).then(() => saved());
      },
      onTrouble: trouble => {
        throw new Error(trouble.message);
      },
    });
    await watcher.start();
    try {
      const once = () =>
        timed(async () => {
          const told = new Promise<void>(resolve => (saved = resolve));
          writeFileSync(this.#file, `saved ${++this.#counter}\n`);
          await told;
        });
      return {
        goal: 13,
        title: `save → new state id, ${this.#label}`,
        unit: 'ms',
        lines: await measure([{ name: ours, kind: 'ours', isolation: STORE, once }], turns),
        goals: this.#only({ line: ours, atMost: 150 }),
        notes: ['60 ms of it wait for the end of a burst'],
      };
    } finally {
      await watcher.close();
    }
  }

  #peers(before: () => void): Contender[] {
    const peer = (name: string, isolation: string, command: readonly string[]): Contender => ({
      name,
      kind: 'peer',
      isolation,
      once: () => {
        before();
        return this.#arena.spawner.run(command);
      },
    });
    return [peer('rsync -a', COPIES, this.#rsync('copy')), peer('git add -A', STORE, this.#add(this.#repository))];
  }

  async #sync(changed?: readonly string[], client: EngineClient = this.#arena.client): Promise<string> {
    const input = { source: this.#source, destination: '/app' };
    return (await client.call('rsync', changed === undefined ? input : { ...input, changed: [...changed] }))
      .directory_state_id;
  }

  #git(folder: string): void {
    execFileSync('git', ['init', '-q', '--bare', folder]);
  }

  #add(repository: string): string[] {
    return ['git', `--git-dir=${repository}`, `--work-tree=${this.#source}`, '-C', this.#source, 'add', '-A'];
  }

  #rsync(name: string): string[] {
    return ['rsync', '-a', `${this.#source}/`, path.join(this.#folder, name)];
  }

  #only(...goals: Goal[]): Goal[] {
    return this.#goals ? goals : [];
  }
}
