import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ImageConfig } from '../../protocol/schemas/images.ts';
import type { RuntimeImage } from '../runtime.ts';
import type { Connection } from './connect/connection.ts';
import { makeFolders } from './containerFiles.ts';
import type { Kind, Names } from './names.ts';
import { operationLabel, parentLabel } from './names.ts';

/** What is kept in the engine's store of an image: enough to find it, and to know what it shares with others. */
export interface DockerImageData {
  /** The daemon's own id of it. */
  readonly id: string;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  /** The image whose run made it, and that image with what was laid under the run, where something was. */
  readonly parent: string | null;
  readonly ground: string | null;
}
export interface Layer {
  readonly id: string;
  readonly size: number;
}

export const imageData = (image: RuntimeImage): DockerImageData => image.data as DockerImageData;

const removalAttempts = 20;
const removalMs = 100;

/** The daemon refuses the 125th layer. */
const mostLayers = 100;

/** A layer that holds nothing: Podman makes one where Docker makes none. */
const emptyLayers = new Set([
  'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
  'sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4',
]);

export interface MadeImage {
  readonly id: string;
  readonly layers: readonly Layer[];
}

export interface Making {
  readonly kind: Kind & ('image' | 'ground');
  readonly tag: string;
  readonly parent: string;
  readonly operation?: string;
}

/** Images in the daemon: described, made of containers, taken away. */
export class Images {
  readonly #connection: Connection;
  readonly #names: () => Names;
  /** Tags that this engine gave: an image is often older than the engine that imports it. */
  readonly #given = new Set<string>();
  readonly #configs = new Map<string, Promise<Docker.ImageInspectInfo>>();

  constructor(connection: Connection, names: () => Names) {
    this.#connection = connection;
    this.#names = names;
  }

  /** What an image is never changes, so it is asked for once. */
  async inspect(image: string): Promise<Docker.ImageInspectInfo> {
    const known = this.#configs.get(image);
    if (known) return known;
    const asked = this.#connection.daemon().then(({ api }) => api.getImage(image).inspect());
    if (image.startsWith('sha256:')) this.#configs.set(image, asked);
    asked.catch(() => this.#configs.delete(image));
    return asked;
  }

  /** The image behind a name, or undefined. */
  async find(name: string): Promise<Docker.ImageInspectInfo | undefined> {
    const { api } = await this.#connection.daemon();
    try {
      return await api.getImage(name).inspect();
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) return undefined;
      throw error;
    }
  }

  /** What it has done when it is built upon. Podman tells that only in its history, with what is long done. */
  async triggers(name: string): Promise<readonly string[]> {
    const image = await this.find(name);
    if (!image) return [];
    const { api, podman } = await this.#connection.daemon();
    const own = (image.Config.OnBuild as string[] | null | undefined) ?? [];
    if (!podman || own.length > 0) return own;
    const history = (await api.getImage(image.Id).history()) as { readonly CreatedBy?: string }[];
    return history.map(({ CreatedBy = '' }) => ON_BUILD.exec(CreatedBy)?.[1]).filter(text => text !== undefined);
  }

  async describe(image: string): Promise<MadeImage & { readonly size: number }> {
    const { api } = await this.#connection.daemon();
    const [info, history] = await Promise.all([
      this.inspect(image),
      api.getImage(image).history() as Promise<{ readonly Size: number }[]>,
    ]);
    const ids = info.RootFS.Layers ?? [];
    const sizes = history
      .map(({ Size }) => Size)
      .filter(size => size > 0)
      .reverse();
    // Where the history does not tell layer by layer, all of it counts as the top one's.
    const whole = sizes.reduce((sum, size) => sum + size, 0);
    const layers = ids.map((id, index) => ({
      id,
      size: sizes.length === ids.length ? sizes[index]! : index === ids.length - 1 ? whole : 0,
    }));
    return { id: withAlgorithm(info.Id), layers, size: whole };
  }

  /** What a container wrote becomes an image on top of the one it runs on; undefined: it wrote nothing. */
  async commit(
    container: Docker.Container,
    ground: MadeImage,
    making: Making,
    options: { readonly env?: Readonly<Record<string, string>>; readonly alive?: boolean } = {},
  ): Promise<(MadeImage & { readonly size: number }) | undefined> {
    this.claim(making.tag);
    const daemon = await this.#connection.daemon();
    const base = await this.inspect(ground.id);
    const labels = {
      ...this.#names().labels(making.kind, making.tag),
      [parentLabel]: making.parent,
      ...(making.operation === undefined ? {} : { [operationLabel]: making.operation }),
    };
    const config = cleanConfig(base.Config, labels, options.env ?? {});
    const query = {
      container: container.id,
      repo: this.#names().repository,
      tag: making.tag,
      pause: options.alive === true,
      ...(daemon.podman
        ? {
            changes: asChanges(
              config,
              new Set(Object.keys(options.env ?? {})),
              (await container.inspect()).Config.User,
            ),
          }
        : {}),
    };
    const { Id } = (await container.commit({ _query: query, _body: config } as object)) as { Id: string };
    const id = withAlgorithm(Id);
    const made = await this.inspect(id);
    const ids = made.RootFS.Layers ?? [];
    const added = ids.slice(ground.layers.length).filter(layer => !emptyLayers.has(layer));
    if (added.length === 0) {
      await this.remove(this.#names().image(making.tag));
      return undefined;
    }
    if (ids.length >= mostLayers) return this.#flatten(making.tag, config);
    const size = Math.max(0, made.Size - base.Size);
    return { id, size, layers: [...ground.layers, { id: ids.at(-1)!, size }] };
  }

  /**
   * What is written to a volume belongs to no image: a copy of the image that declares none, as it has no way to be told
   * otherwise.
   */
  async withoutVolumes(uuid: string): Promise<MadeImage & { readonly size: number }> {
    const { Config: config } = await this.inspect(this.#names().image(uuid));
    const labels = { ...config.Labels, ...this.#names().labels('image', uuid) };
    const plain = { ...config, Labels: labels };
    // Docker gives the folder of a volume away, Podman only where none is mounted.
    if ((await this.#connection.daemon()).podman) await this.#flatten(uuid, plain);
    return this.#flatten(uuid, plain, Object.keys(config.Volumes ?? {}));
  }

  /** The same files in one layer: a daemon takes only so many. */
  async #flatten(
    tag: string,
    config: Partial<Docker.ImageInspectInfo['Config']>,
    folders: readonly string[] = [],
  ): Promise<MadeImage & { readonly size: number }> {
    const { api } = await this.#connection.daemon();
    const name = this.#names().image(tag);
    const container = await api.createContainer({
      Image: name,
      Entrypoint: ['/none'],
      Labels: this.#names().labels('work', tag),
    });
    try {
      // Where a volume was to be there need be no folder.
      for (const folder of folders) await makeFolders(container, folder);
      const id = await this.importTar(await container.export(), asChanges(config));
      await container.remove({ force: true, v: true });
      await this.remove(name);
      await this.tag(id, tag);
      return await this.describe(id);
    } finally {
      await container.remove({ force: true, v: true }).catch(() => undefined);
    }
  }

  /** A tar of a root file system becomes an image without a name; answers its id. */
  async importTar(tar: NodeJS.ReadableStream, changes: readonly string[], signal?: AbortSignal): Promise<string> {
    const { api } = await this.#connection.daemon();
    const answer = await api.importImage(tar, {
      changes: [...changes],
      ...(signal ? { abortSignal: signal } : {}),
    } as object);
    let id: string | undefined;
    await followed(answer, ({ status }) => {
      if (status !== undefined && /^(sha256:)?[0-9a-f]{64}$/.test(status)) id = withAlgorithm(status);
    });
    if (id === undefined)
      throw new CoppiceError('import_failed', 'the daemon does not say what it made of the archive');
    return id;
  }

  /** Before the daemon is told: whoever clears away what earlier engines left must not meet it. */
  claim(tag: string): void {
    this.#given.add(tag);
  }

  isClaimed(tag: string): boolean {
    return this.#given.has(tag);
  }

  async tag(id: string, tag: string): Promise<void> {
    this.claim(tag);
    const { api } = await this.#connection.daemon();
    await api.getImage(id).tag({ repo: this.#names().repository, tag });
  }

  async removeTag(tag: string): Promise<void> {
    await this.remove(this.#names().image(tag));
  }

  /**
   * By a name of ours alone: what else has a name for it keeps it. Podman's force would take the containers along, also those
   * of others; so there it is waited until none of ours uses it any more.
   */
  async remove(name: string): Promise<void> {
    const { api, podman } = await this.#connection.daemon();
    for (let attempt = 0; ; attempt++) {
      try {
        await api.getImage(name).remove({ force: !podman });
        return;
      } catch (error) {
        const { statusCode } = error as { statusCode?: number };
        if (statusCode === 404) return;
        if (!podman || attempt >= removalAttempts) throw error;
      }
      await pause(removalMs);
    }
  }
}

/** The daemon's answers to a long request, a JSON object each; one of them may be an error. */
export async function followed(stream: NodeJS.ReadableStream, take: (event: ProgressEvent) => void): Promise<void> {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== '') takeLine(line, take);
  }
  if (rest.trim() !== '') takeLine(rest, take);
}

export interface ProgressEvent {
  readonly status?: string;
  readonly stream?: string;
  readonly id?: string;
  readonly error?: string;
  readonly aux?: { readonly ID?: string };
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

function takeLine(line: string, take: (event: ProgressEvent) => void): void {
  const event = JSON.parse(line) as ProgressEvent;
  if (event.error !== undefined) throw new CoppiceError('import_failed', event.error.trim());
  take(event);
}

export const withAlgorithm = (id: string): string => (id.startsWith('sha256:') ? id : `sha256:${id}`);

/**
 * The config of the image below: a run's command, environment and secrets are no part of what it leaves. The daemon adds
 * every variable of the container that the config does not name, so those are named, and empty.
 */
function cleanConfig(
  base: Docker.ImageInspectInfo['Config'],
  labels: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Docker.ImageInspectInfo['Config'] {
  const own = base.Env ?? [];
  const named = new Set(own.map(entry => entry.split('=', 1)[0]!));
  return {
    ...base,
    Labels: { ...base.Labels, ...labels },
    Env: [
      ...own,
      ...Object.keys(env)
        .filter(name => !named.has(name))
        .map(name => `${name}=`),
    ],
  };
}

/** `/bin/sh -c #(nop) ONBUILD RUN x` */
const ON_BUILD = /\bONBUILD\s+(.*)$/s;

/**
 * The same as lines of a Dockerfile, which is all that Podman takes; `only` of these variables. What is empty is said too, or
 * the container's own would be kept.
 */
export function asChanges(
  config: Partial<Docker.ImageInspectInfo['Config']>,
  only?: ReadonlySet<string>,
  ranAs = '',
): string[] {
  const variables = (config.Env ?? []).map(entry => entry.split(/=(.*)/s) as [string, string]);
  return [
    ...Object.entries(config.Labels ?? {}).map(([name, value]) => `LABEL ${quoted(name)}=${quoted(value)}`),
    ...variables
      .filter(([name, value]) => (only?.has(name) ?? true) && !/[\n\r]/.test(value))
      .map(([name, value]) => `ENV ${name}=${value === '' ? '' : quoted(value)}`),
    ...(config.User || ranAs ? [`USER ${config.User || 'root'}`] : []),
    `WORKDIR ${config.WorkingDir || '/'}`,
    `ENTRYPOINT ${JSON.stringify(config.Entrypoint ?? [])}`,
    ...(config.Cmd?.length ? [`CMD ${JSON.stringify(config.Cmd)}`] : []),
  ];
}

const quoted = (text: string): string => `"${text.replace(/["\\$]/g, '\\$&')}"`;

export function configOf(info: Docker.ImageInspectInfo): ImageConfig {
  const { Config: config } = info;
  const entrypoint = config.Entrypoint;
  return {
    env: Object.fromEntries((config.Env ?? []).map(entry => entry.split(/=(.*)/s).slice(0, 2) as [string, string])),
    cwd: config.WorkingDir || '/',
    user: config.User ?? '',
    entrypoint: typeof entrypoint === 'string' ? [entrypoint] : [...(entrypoint ?? [])],
    cmd: [...(config.Cmd ?? [])],
    labels: Object.fromEntries(Object.entries(config.Labels ?? {}).filter(([name]) => !name.startsWith('coppice.'))),
    architecture: info.Architecture,
  };
}

/** The bytes that go with an image: of layers that no other has. Layers below one that stays, stay. */
export function bytesOfItsOwn(image: DockerImageData, others: readonly DockerImageData[]): number {
  const held = new Set(others.flatMap(other => chains(other.layers)));
  const own = chains(image.layers);
  return image.layers.reduce((sum, layer, index) => sum + (held.has(own[index]!) ? 0 : layer.size), 0);
}

/** A layer is what it is on what lies below. */
function chains(layers: readonly Layer[]): string[] {
  let below = '';
  return layers.map(({ id }) => {
    below = `${below}/${id}`;
    return below;
  });
}
