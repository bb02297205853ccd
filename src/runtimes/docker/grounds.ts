import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type Docker from 'dockerode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DirectoryStateLayer, SandboxSpec } from '../runtime.ts';
import { attached } from './attach.ts';
import type { Connection } from './connect/connection.ts';
import { foldersOnTheWay, makeFolders, writeTo } from './containerFiles.ts';
import { type Images, imageData, type MadeImage } from './images.ts';
import { nameList } from './insideProgram.ts';
import { type Names, shortHash } from './names.ts';
import type { Places } from './places.ts';
import { changesBetween, StateTrees, tarOf } from './stateTree.ts';
import { type InsideTools, insideProgram } from './tools.ts';

/** So many images with a state over them are kept for the next run. */
const mostGrounds = 32;
/** A ground stands on the one before, so many times; then it starts from the image again. */
const mostSteps = 24;
/** Places in an image that are looked at one by one. */
const mostLooks = 64;

interface StateGround {
  readonly image: string;
  readonly state: string;
  readonly series: string;
  readonly steps: number;
  readonly made: MadeImage;
}

/**
 * What a run begins on: its image with the directory state and the files laid over it, as one image more, made once. A
 * state that follows another is laid as what changed between them.
 */
export class Grounds {
  readonly #connection: Connection;
  readonly #images: Images;
  readonly #tools: InsideTools;
  readonly #places: Places;
  readonly #names: () => Names;
  readonly #trees: StateTrees;
  /** The least recently used first. */
  readonly #grounds = new Map<string, Promise<MadeImage>>();
  readonly #states: StateGround[] = [];

  constructor(parts: {
    readonly connection: Connection;
    readonly images: Images;
    readonly tools: InsideTools;
    readonly places: Places;
    readonly names: () => Names;
    readonly folder: string;
  }) {
    this.#connection = parts.connection;
    this.#images = parts.images;
    this.#tools = parts.tools;
    this.#places = parts.places;
    this.#names = parts.names;
    this.#trees = new StateTrees(parts.folder);
  }

  async under({ image, state, files }: Pick<SandboxSpec, 'image' | 'state' | 'files'>): Promise<MadeImage> {
    let ground: MadeImage = imageData(image);
    if (state) {
      const base = ground;
      const key = shortHash('state', base.id, state.id, ...state.hides, '', ...state.touches);
      ground = await this.#once(key, () => this.#layState(base, state, key));
    }
    if (files.length > 0) {
      const base = ground;
      const key = shortHash('files', base.id, ...files.flatMap(file => [file.path, posix.basename(file.blob)]));
      ground = await this.#once(key, () => this.#layFiles(base, files, key));
    }
    return ground;
  }

  async #once(key: string, make: () => Promise<MadeImage>): Promise<MadeImage> {
    const known = this.#grounds.get(key);
    this.#grounds.delete(key);
    const ground = known ?? make();
    this.#grounds.set(key, ground);
    ground.catch(() => this.#grounds.delete(key));
    const made = await ground;
    if (!known) await this.#shrink();
    return made;
  }

  /** An image that others stand on keeps its files when its name is taken away. */
  async #shrink(): Promise<void> {
    for (const key of [...this.#grounds.keys()].slice(0, Math.max(0, this.#grounds.size - mostGrounds))) {
      const made = await this.#grounds.get(key);
      this.#grounds.delete(key);
      const at = this.#states.findIndex(known => known.made.id === made?.id);
      if (at >= 0) this.#states.splice(at, 1);
      await this.#images.remove(this.#names().image(`ground-${key}`));
    }
  }

  async #layState(base: MadeImage, state: DirectoryStateLayer, key: string): Promise<MadeImage> {
    const tree = await this.#trees.of(state);
    const owner = state.owner ?? { uid: 0, gid: 0 };
    const series = shortHash(
      base.id,
      state.destination,
      `${owner.uid}:${owner.gid}`,
      ...state.hides,
      '',
      ...state.touches,
    );
    const earlier = this.#states.findLast(known => known.series === series && known.steps < mostSteps);
    const before = earlier && (await this.#trees.known(earlier.state));
    const between = before === undefined ? undefined : changesBetween(before, tree, state.destination);
    // Of what the image has of its own at such a place nothing is left on the earlier ground.
    const changes = between && !(await this.#hasAny(base, between.gone)) ? between : undefined;
    const from = earlier && changes ? earlier.made : base;
    const gone = changes ? changes.gone : state.hides;
    const made = await this.#make(from, key, base.id, gone, async container => {
      await foldersOnTheWay(container, state.destination);
      await makeFolders(container, posix.dirname(state.destination));
      const put = (names: readonly string[], only: boolean, now = false) =>
        putTar(container, tarOf(tree, names, { owner, only, now }));
      if (changes) await put(changes.put, true);
      else await put([Buffer.from(state.destination).toString('latin1')], false);
      if (state.touches.length > 0) await put(state.touches, true, true);
    });
    this.#states.push({ image: base.id, state: state.id, series, steps: changes ? earlier!.steps + 1 : 0, made });
    return made;
  }

  /** `true` also where asking would take longer than laying the whole state. */
  async #hasAny(image: MadeImage, names: readonly string[]): Promise<boolean> {
    const all = new Set(names);
    const topmost = names.filter(name => !all.has(posix.dirname(name)));
    if (topmost.length > mostLooks) return true;
    if (topmost.length === 0) return false;
    return this.#places.use(image.id, async place => {
      for (const name of topmost) if ((await place.kindOf(name)) !== undefined) return true;
      return false;
    });
  }

  async #layFiles(base: MadeImage, files: SandboxSpec['files'], key: string): Promise<MadeImage> {
    const laid = await Promise.all(
      files.map(async file => ({ path: file.path, bytes: await readFile(file.blob), mode: 0o644 })),
    );
    return this.#make(base, key, base.id, [], container => writeTo(container, laid));
  }

  /** One layer on another: first what goes, by a program inside, then what comes, from here. */
  async #make(
    from: MadeImage,
    key: string,
    parent: string,
    gone: readonly string[],
    fill: (container: Docker.Container) => Promise<void>,
  ): Promise<MadeImage> {
    const { api } = await this.#connection.daemon();
    const names = this.#names();
    const container = await api.createContainer({
      Image: from.id,
      Entrypoint: [insideProgram],
      Cmd: ['remove'],
      User: '0:0',
      WorkingDir: '/',
      OpenStdin: true,
      StdinOnce: true,
      Labels: names.labels('work', key),
      HostConfig: { NetworkMode: 'none', Binds: gone.length > 0 ? [(await this.#tools.tools()).bind] : [] },
    });
    try {
      if (gone.length > 0) await removeInside(container, gone);
      await fill(container);
      const made = await this.#images.commit(container, from, { kind: 'ground', tag: `ground-${key}`, parent });
      return made ?? from;
    } finally {
      await container.remove({ force: true, v: true });
    }
  }
}

async function removeInside(container: Docker.Container, names: readonly string[]): Promise<void> {
  const input = await attached(container, { stdin: true, output: false });
  const ended = container.wait({ condition: 'next-exit' });
  ended.catch(() => undefined);
  await container.start();
  input.end(nameList(names));
  const { StatusCode: code } = (await ended) as { StatusCode: number };
  input.destroy();
  if (code !== 0)
    throw new CoppiceError('internal', `what a directory state no longer has could not be hidden: code ${code}`);
}

/** The daemon's word comes first: a tar that it did not want to the end only knows that it was cut off. */
async function putTar(container: Docker.Container, tar: ReturnType<typeof tarOf>): Promise<void> {
  await container.putArchive(tar.stream, { path: '/' });
  await tar.whole;
}
