import { readdirSync } from 'node:fs';
import { posix } from 'node:path';
import type Docker from 'dockerode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ProcessSpec, RuntimeProcess, RuntimeSandbox, SandboxFiles } from '../runtime.ts';
import type { Connection } from './connect/connection.ts';
import { readFrom, writeTo } from './containerFiles.ts';
import { containerFolders } from './containerFolders.ts';
import type { MainProcess } from './dockerProcess.ts';
import { ExecProcess } from './execProcess.ts';
import type { DockerImageData, Images, MadeImage } from './images.ts';
import { runInside } from './insideProgram.ts';

export interface DockerSandboxParts {
  readonly id: string;
  readonly container: Docker.Container;
  readonly main: MainProcess;
  readonly images: Images;
  readonly connection: Connection;
  /** The image it was asked for, and what it really runs on. */
  readonly image: MadeImage;
  readonly ground: MadeImage;
  readonly env: Readonly<Record<string, string>>;
  readonly hasTools: boolean;
  readonly notes: readonly string[];
  /** Resolves when the daemon can be asked again, rejects when it stays away. */
  readonly back: () => Promise<unknown>;
  /** Takes the container away, now or behind. */
  readonly remove: () => void;
}

/** The engine's end of a container. */
export class DockerSandbox implements RuntimeSandbox {
  readonly id: string;
  readonly main: RuntimeProcess;
  readonly notes: readonly string[];
  readonly files: SandboxFiles;
  readonly #parts: DockerSandboxParts;
  #over = false;
  #removed = false;

  constructor(parts: DockerSandboxParts) {
    this.id = parts.id;
    this.main = parts.main;
    this.notes = parts.notes;
    this.files = containerFolders(parts.id, parts.container);
    this.#parts = parts;
    const over = () => {
      this.#over = true;
    };
    parts.main.exited.then(over, over);
  }

  async exec(id: string, spec: ProcessSpec): Promise<RuntimeProcess> {
    if (this.#over) throw this.#notRunning();
    const { container, connection } = this.#parts;
    const process = new ExecProcess({
      id,
      sandbox: this.id,
      container,
      spec,
      signal: (number, word, user) => this.#signal(number, word, user),
      understood: error => connection.understood(error),
      back: this.#parts.back,
    });
    await process.start();
    return process;
  }

  readFile(file: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number }> {
    return this.#asked(() => readFrom(this.#parts.container, file, offset, length));
  }

  async writeFile(
    file: string,
    bytes: Buffer,
    { mode = 0o644, append }: { readonly mode: number | undefined; readonly append: boolean },
  ): Promise<void> {
    if (this.#over) throw this.#notRunning();
    await this.#asked(() => writeTo(this.#parts.container, [{ path: file, bytes, mode: mode & 0o7777, append }]));
  }

  /** By a look at what it wrote, where that lies on this machine; else by what a commit adds. Never by the daemon's diff. */
  async changed(): Promise<boolean> {
    const seen = await this.#asked(() => this.#lookAtUpper());
    if (seen !== undefined) return seen;
    const { id, image, ground, container, images, env } = this.#parts;
    const tag = `look-${id}`;
    const made = await this.#asked(() =>
      images.commit(container, ground, { kind: 'image', tag, parent: image.id }, { env }),
    );
    if (made) await images.removeTag(tag);
    return made !== undefined;
  }

  async #lookAtUpper(): Promise<boolean | undefined> {
    const { GraphDriver: driver } = (await this.#parts.container.inspect()) as Docker.ContainerInspectInfo & {
      GraphDriver?: { Name?: string; Data?: Record<string, string> | null };
    };
    const upper = driver?.Name?.startsWith('overlay') ? driver.Data?.UpperDir : undefined;
    if (upper === undefined) return undefined;
    try {
      return hasOwn(upper, '');
    } catch {
      // Of another machine, or not for us to read.
      return undefined;
    }
  }

  async commit(
    uuid: string,
  ): Promise<
    { readonly changed: false } | { readonly changed: true; readonly data: unknown; readonly size: number | null }
  > {
    const { id, container, image, ground, images, env } = this.#parts;
    if ((await this.#asked(() => this.#lookAtUpper())) === false) return { changed: false };
    const made = await this.#asked(() =>
      images.commit(
        container,
        ground,
        { kind: 'image', tag: uuid, parent: image.id, operation: id },
        { env, alive: !this.#over },
      ),
    );
    if (!made) return { changed: false };
    const data: DockerImageData = {
      id: made.id,
      layers: made.layers,
      parent: image.id,
      ground: ground.id === image.id ? null : ground.id,
    };
    return { changed: true, data, size: made.size };
  }

  async stop(): Promise<void> {
    if (!this.#over) await this.main.kill('SIGKILL');
    await this.main.exited.catch(() => undefined);
  }

  async remove(): Promise<void> {
    if (this.#removed) return;
    this.#removed = true;
    this.#parts.remove();
  }

  /** SIGKILL reaches everything that the process started, too. */
  async #signal(number: number, word: string, user: string | undefined): Promise<boolean> {
    if (!this.#parts.hasTools)
      throw new CoppiceError('unsupported', `processes of ${this.id} cannot be signalled`, {
        fix: 'Stop the sandbox, which ends them all.',
      });
    return (await runInside(this.#parts.container, ['kill', String(number), word], { user })) === 0;
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw await this.#parts.connection.understood(error);
    }
  }

  #notRunning(): CoppiceError {
    return new CoppiceError('conflict', `sandbox ${this.id} does not run any more`, { data: { sandbox: this.id } });
  }
}

/** Where the daemon mounts something that the image has no place for, it makes one. */
const mountPoints = new Set([
  '/dev',
  '/etc',
  '/etc/hostname',
  '/etc/hosts',
  '/etc/mtab',
  '/etc/resolv.conf',
  '/proc',
  '/run',
  '/run/.containerenv',
  '/run/secrets',
  '/sys',
]);

function hasOwn(upper: string, folder: string): boolean {
  return readdirSync(posix.join(upper, folder), { withFileTypes: true }).some(entry => {
    const path = `${folder}/${entry.name}`;
    if (!mountPoints.has(path)) return true;
    return entry.isDirectory() && path !== '/run/secrets' && hasOwn(upper, path);
  });
}
