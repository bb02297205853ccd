import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DirectoryStateLayer } from '../runtime.ts';

/** Of trees that are laid out, so many stay: the next state of a series links to the one before. */
const mostTrees = 6;

/** Directory states laid out on this machine, to be read as archives from here. */
export class StateTrees {
  readonly #folder: string;
  readonly #trees = new Map<string, Promise<string>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The folder that stands for `/`: the state lies at its destination below. */
  async of(state: DirectoryStateLayer): Promise<string> {
    const tree = this.#trees.get(state.id) ?? this.#layOut(state);
    this.#trees.delete(state.id);
    this.#trees.set(state.id, tree);
    tree.catch(() => this.#trees.delete(state.id));
    const folder = await tree;
    await this.#shrink();
    return folder;
  }

  known(state: string): Promise<string> | undefined {
    return this.#trees.get(state);
  }

  async #layOut(state: DirectoryStateLayer): Promise<string> {
    const root = path.join(this.#folder, state.id);
    await rm(root, { recursive: true, force: true });
    const folder = path.join(root, state.destination);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await state.layOut(folder, {
      root: undefined,
      laid: other => (this.#trees.has(other) ? path.join(this.#folder, other, state.destination) : undefined),
      overOthers: false,
    });
    return root;
  }

  async #shrink(): Promise<void> {
    for (const [state, tree] of this.#trees) {
      if (this.#trees.size <= mostTrees) return;
      this.#trees.delete(state);
      await rm(await tree, { recursive: true, force: true });
    }
  }
}

/** What the second of two laid trees has that the first has not, and what it has no longer. One character a byte. */
export function changesBetween(
  before: string,
  after: string,
  below: string,
): { readonly put: string[]; readonly gone: string[] } {
  const put: string[] = [];
  const gone: string[] = [];
  const compare = (name: string) => {
    const [old, now] = [entriesOf(before, name), entriesOf(after, name)];
    for (const [entry, was] of old) {
      const is = now.get(entry);
      const at = `${name}/${entry}`;
      if (!is || kind(is) !== kind(was)) leave(at, was);
    }
    for (const [entry, is] of now) {
      const was = old.get(entry);
      const at = `${name}/${entry}`;
      if (was && kind(was) === kind(is) && is.isDirectory()) {
        if (was.mode !== is.mode || was.mtimeMs !== is.mtimeMs) put.push(at);
        compare(at);
      } else if (!was || kind(was) !== kind(is) || !same(before, was, after, is, at)) arrive(at, is);
    }
  };
  const leave = (name: string, was: Stats) => {
    if (was.isDirectory()) for (const [entry, stats] of entriesOf(before, name)) leave(`${name}/${entry}`, stats);
    gone.push(name);
  };
  const arrive = (name: string, is: Stats) => {
    put.push(name);
    if (is.isDirectory()) for (const [entry, stats] of entriesOf(after, name)) arrive(`${name}/${entry}`, stats);
  };
  compare(Buffer.from(below).toString('latin1'));
  return { put: [Buffer.from(below).toString('latin1'), ...put], gone };
}

const kind = (stats: Stats): number => stats.mode & 0o170000;
const bytes = (...names: string[]): Buffer => Buffer.concat([Buffer.from(names[0]!), Buffer.from(names[1]!, 'latin1')]);

function same(before: string, was: Stats, after: string, is: Stats, name: string): boolean {
  if (is.isSymbolicLink())
    return (
      readlinkSync(bytes(before, name), 'buffer').equals(readlinkSync(bytes(after, name), 'buffer')) &&
      was.mtimeMs === is.mtimeMs
    );
  // What did not change has the same inode: a later tree is laid with links to the earlier one.
  return was.ino === is.ino && was.dev === is.dev;
}

function entriesOf(root: string, name: string): Map<string, Stats> {
  const folder = bytes(root, name);
  const names = readdirSync(folder, { encoding: 'latin1' });
  return new Map(names.map(entry => [entry, lstatSync(bytes(root, `${name}/${entry}`))]));
}

/**
 * A tar of files below a folder of this machine, written by `tar`: all below `names`, or with `only` just those. Owned by
 * `owner` whoever has them here.
 */
export function tarOf(
  root: string,
  names: readonly string[],
  options: {
    readonly owner: { readonly uid: number; readonly gid: number };
    readonly only: boolean;
    readonly now?: boolean;
  },
): { readonly stream: Readable; readonly whole: Promise<void> } {
  const { uid, gid } = options.owner;
  const own =
    process.platform === 'linux'
      ? [
          '--format=posix',
          '--pax-option=delete=atime,delete=ctime',
          `--owner=:${uid}`,
          `--group=:${gid}`,
          '--hard-dereference',
          '--verbatim-files-from',
        ]
      : ['--format=pax', '--uid', String(uid), '--gid', String(gid)];
  const args = [
    '--create',
    ...own,
    '--numeric-owner',
    ...(options.only ? ['--no-recursion'] : []),
    ...(options.now ? [`--mtime=@${Math.floor(Date.now() / 1000)}`] : []),
    `--directory=${root}`,
    '--null',
    '--files-from=-',
  ];
  const tar = spawn('tar', args, { stdio: 'pipe', env: { PATH: process.env.PATH, LC_ALL: 'C' } });
  let complaint = '';
  tar.stderr.on('data', (text: Buffer) => {
    if (complaint.length < 2000) complaint += text;
  });
  const list = Buffer.from(names.map(name => `.${name.startsWith('/') ? name : `/${name}`}\0`).join(''), 'latin1');
  const listed = pipeline(Readable.from([list]), tar.stdin);
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', code =>
      code === 0 ? resolve() : reject(new Error(`the state's files could not be read whole: ${complaint.trim()}`)),
    );
  });
  const whole = Promise.all([listed, ended]).then(() => undefined);
  whole.catch(error => tar.stdout.destroy(error));
  return { stream: tar.stdout, whole };
}
