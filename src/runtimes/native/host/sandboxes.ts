import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { AdoptState, CreateSandbox } from '../hostApi.ts';
import type { ImageData } from './layers/imageData.ts';
import { inboxPath, runPath } from './paths.ts';
import { Sandbox, type SandboxTools } from './sandbox.ts';

/** The answer goes out first, and the next run's request comes in. */
const clearAfterMs = 6;

/** All sandboxes that live, or are dead and not removed yet. */
export class Sandboxes {
  readonly #tools: SandboxTools;
  readonly #all = new Map<string, Sandbox>();
  readonly #clearing = new Set<Promise<void>>();

  constructor(tools: SandboxTools) {
    this.#tools = tools;
  }

  get ids(): readonly string[] {
    return [...this.#all.keys()];
  }

  async create(spec: CreateSandbox): Promise<{ readonly notes: readonly string[] }> {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(spec.id)) {
      throw new CoppiceError('invalid_input', `${JSON.stringify(spec.id)} cannot name a sandbox`, { field: 'id' });
    }
    if (this.#all.has(spec.id)) throw new CoppiceError('already_exists', `there is a sandbox ${spec.id} already`);
    const sandbox = new Sandbox(this.#tools, spec);
    this.#all.set(spec.id, sandbox);
    // What an engine that died left under this id.
    rmSync(runPath(spec.id), { recursive: true, force: true });
    try {
      await sandbox.start();
    } catch (error) {
      // At once: it may be tried again under the same id.
      await sandbox.stop();
      await sandbox.clear();
      this.#all.delete(spec.id);
      throw error;
    }
    return { notes: [] };
  }

  async adoptState(adopted: AdoptState): Promise<void> {
    const tree = path.join(inboxPath, path.basename(adopted.inbox));
    const { give } = adopted;
    if (give)
      await promisify(execFile)('chown', ['-R', '-h', `${give.uid}:${give.gid}`, '--', path.join(tree, give.folder)]);
    this.#tools.layers.adoptState(adopted.state, adopted.layer, tree, adopted.over ?? undefined);
  }

  /** A sandbox of nothing but our own program starts, or the error says what stands in the way. */
  selfTest(): Promise<void> {
    return this.#starts({ layers: [], laid: [], host: false });
  }

  /** The same on the machine's own folders: what stands in the way, in a line. */
  async hostRefused(): Promise<string | null> {
    try {
      const { data } = this.#tools.layers.importHost();
      await this.#starts(data as ImageData);
      return null;
    } catch (error) {
      const { message, fix } = error as Partial<CoppiceError> & Error;
      return fix === undefined ? message : `${message}. ${fix}`;
    }
  }

  async #starts(data: ImageData): Promise<void> {
    const id = `probe-${randomUUID()}`;
    await this.create({
      id,
      image: { uuid: id, data },
      main: null,
      hostname: 'probe',
      limits: { cpus: null, memory: null, pids: null },
      network: 'none',
      resolvConf: '',
      files: [],
      state: null,
    });
    try {
      await this.get(id).running();
    } finally {
      await this.remove(id);
    }
  }

  async wipe(): Promise<void> {
    await Promise.all([...this.#all.keys()].map(id => this.remove(id)));
    await Promise.all(this.#clearing);
    await this.#tools.roots.dropSpares();
  }

  get(id: string): Sandbox {
    const found = this.#all.get(id);
    if (!found) throw new CoppiceError('sandbox_not_found', `there is no sandbox ${id}`);
    return found;
  }

  /** Resolves when nothing of it runs; the rest is seen to behind. What is not there is no error: the caller wants it gone. */
  async remove(id: string): Promise<void> {
    const sandbox = this.#all.get(id);
    if (!sandbox) return;
    await sandbox.stop();
    this.#all.delete(id);
    const clearing = pause(clearAfterMs)
      .then(() => sandbox.clear())
      .catch((error: Error) => this.#tools.log(`${id} was not cleared: ${error.message}`))
      .finally(() => this.#clearing.delete(clearing));
    this.#clearing.add(clearing);
  }
}
