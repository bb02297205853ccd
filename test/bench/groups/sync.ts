import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { EngineClient } from '../../../src/client/engineClient.ts';
import { CoppiceHome } from '../../harness/coppiceHome.ts';
import type { Arena } from '../arena.ts';
import { injectedDelay } from '../delay.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Goal, Row } from '../row.ts';
import { makeTree } from '../tree.ts';
import { visibleRow } from './visible.ts';

/** Goals 9 to 12: a folder becomes a directory state, and a sandbox sees it. */
export async function* sync(arena: Arena, turns: number): AsyncGenerator<Row> {
  for (const files of [10_000, 50_000]) {
    const work = new SyncWork(arena, files);
    // Cold, the larger tree takes its minutes; the goals are about the smaller one.
    const few = files === 10_000 ? turns / 5 : turns / 8;
    try {
      yield await work.cold(Math.max(3, Math.round(files === 10_000 ? few : turns / 10)));
      await work.settle();
      yield await work.nothing(Math.max(3, Math.round(few * 2.5)));
      yield await work.oneChange(Math.max(3, Math.round(few * 2.5)));
      yield await work.visible(Math.max(3, Math.round(few * 2.5)));
    } finally {
      work.remove();
    }
  }
}

const COPIES = 'a copy on this machine, no sandbox';
const STORE = 'a store on this machine, no sandbox';
const RSYNC = 'rsync -a';
const GIT = 'git add -A';
const OSTREE = 'ostree commit';

class SyncWork {
  readonly #arena: Arena;
  readonly #label: string;
  readonly #goals: boolean;
  readonly #warmUps: number;
  readonly #folder: string;
  readonly #source: string;
  readonly #file: string;
  #counter = 0;

  constructor(arena: Arena, files: number) {
    this.#arena = arena;
    this.#label = `${files.toLocaleString('en')} files`;
    // The goals are about 10,000 files.
    this.#goals = files === 10_000;
    this.#warmUps = files === 10_000 ? 2 : 1;
    this.#folder = path.join(arena.folder, `sync-${files}`);
    this.#source = makeTree(path.join(this.#folder, 'source'), files);
    this.#file = path.join(this.#source, 'd3', 's3', 'f1260.ts');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  /** Everything that comes later finds what it knows already. */
  async settle(): Promise<void> {
    await this.#sync();
    this.#git(this.#at('git'));
    this.#ostree(this.#at('ostree'));
    for (const { command } of this.#again()) await this.#arena.spawner.run(command);
  }

  async cold(turns: number): Promise<Row> {
    const ours = 'coppice rsync, empty store';
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: STORE, once: () => this.#coldStore() },
      this.#fresh(RSYNC, COPIES, to => this.#rsync(to)),
      this.#fresh(
        GIT,
        STORE,
        to => this.#add(to),
        to => this.#git(to),
      ),
    ];
    if (this.#goals)
      contenders.push(
        this.#fresh(
          OSTREE,
          STORE,
          to => this.#commit(to),
          to => this.#ostree(to),
        ),
        { ...this.#fresh('cp -a', COPIES, to => ['cp', '-a', this.#source, to]), kind: 'floor' },
      );
    return {
      goal: 11,
      title: `sync, cold, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, this.#goals ? 1 : 0),
      goals: this.#only({ line: ours, times: 1 / 1.5, betterThan: RSYNC }),
      notes: [
        'the engine and its sync thread run already; each turn has a store of its own; nobody waits for the disk',
      ],
    };
  }

  /** Into a target that is new each time; making it and clearing it away are not measured. */
  #fresh(
    name: string,
    isolation: string,
    command: (to: string) => readonly string[],
    make?: (to: string) => void,
  ): Contender {
    const once = async () => {
      const to = this.#arena.place('fresh');
      make?.(to);
      try {
        return await this.#arena.spawner.run(command(to));
      } finally {
        rmSync(to, { recursive: true, force: true });
      }
    };
    return { name, kind: 'peer', isolation, once };
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
      {
        name: 'find: every file looked at, nothing remembered',
        kind: 'floor',
        isolation: 'no sandbox',
        once: () => this.#arena.spawner.run(['find', this.#source, '-printf', '%s %T@ %C@ %i ']),
      },
      ...this.#peers(() => undefined),
    ];
    return {
      goal: 9,
      title: `sync, nothing changed, ${this.#label}`,
      unit: 'ms',
      lines: await measure(contenders, turns, this.#warmUps),
      goals: this.#only({ line: watched, atMost: 5 }, { line: walked, times: 1, betterThan: RSYNC }),
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

  visible(turns: number): Promise<Row> {
    return visibleRow(this.#arena, this.#arena.native, {
      source: this.#source,
      file: this.#file,
      label: this.#label,
      turns,
      warmUps: this.#warmUps,
      atMost: this.#goals ? 5 : undefined,
    });
  }

  #peers(before: () => void): Contender[] {
    return this.#again().map(({ name, isolation, command, skips }) => ({
      name,
      kind: 'peer',
      isolation,
      skips,
      once: () => {
        before();
        return this.#arena.spawner.run(command);
      },
    }));
  }

  /** The peers over what they know already. OSTree reads and writes everything again, too slow for the larger tree. */
  #again() {
    const ostree = { name: OSTREE, isolation: STORE, command: this.#commit(this.#at('ostree')), skips: 8 };
    return [
      { name: RSYNC, isolation: COPIES, command: this.#rsync(this.#at('copy')), skips: 0 },
      { name: GIT, isolation: STORE, command: this.#add(this.#at('git')), skips: 0 },
      ...(this.#goals ? [ostree] : []),
    ];
  }

  async #sync(changed?: readonly string[], client: EngineClient = this.#arena.client): Promise<string> {
    const input = { source: this.#source, destination: '/app' };
    const asked = changed === undefined ? input : { ...input, changed: [...changed] };
    const { directory_state_id } = await client.call('rsync', asked);
    await injectedDelay();
    return directory_state_id;
  }

  #at(name: string): string {
    return path.join(this.#folder, name);
  }

  #git(to: string): void {
    execFileSync('git', ['init', '-q', '--bare', to]);
  }

  #add(to: string): string[] {
    return ['git', `--git-dir=${to}`, `--work-tree=${this.#source}`, '-C', this.#source, 'add', '-A'];
  }

  /** As quick as it gets: files as they are, not compressed, and without waiting for the disk. */
  #ostree(to: string): void {
    execFileSync('ostree', ['init', `--repo=${to}`, '--mode=bare-user']);
    execFileSync('ostree', [`--repo=${to}`, 'config', 'set', 'core.fsync', 'false']);
  }

  #commit(to: string): string[] {
    return ['ostree', `--repo=${to}`, 'commit', '--branch=main', `--tree=dir=${this.#source}`];
  }

  #rsync(to: string): string[] {
    return ['rsync', '-a', `${this.#source}/`, to];
  }

  #only(...goals: Goal[]): Goal[] {
    return this.#goals ? goals : [];
  }
}
