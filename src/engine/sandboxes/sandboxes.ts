import { randomBytes } from 'node:crypto';
import { CoppiceError } from '../../protocol/errors.ts';
import type { SandboxStatus } from '../../protocol/schemas/sandboxes.ts';
import type { VerbRequest } from '../../protocol/verbs.ts';
import type { EventBus } from '../eventBus.ts';
import type { ImageStore } from '../images/imageStore.ts';
import type { Log } from '../log.ts';
import type { OutputFeed } from '../operations/outputFeed.ts';
import type { StartImages } from '../operations/startImage.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Spools } from '../store/spools.ts';
import { isOver, type LaidOver, mainProcessOf, type Owner, Sandbox } from './sandbox.ts';
import type { SandboxProcess } from './sandboxProcess.ts';

/** Of sandboxes that are over, so many keep their record and their processes' output. */
const KEPT_FINISHED = 200;

export interface SandboxesParts {
  readonly runtimes: Runtimes;
  readonly images: ImageStore;
  readonly startImages: StartImages;
  readonly spools: Spools;
  readonly feed: OutputFeed;
  readonly events: EventBus;
  readonly log: Log;
  /** Living ones at once. */
  readonly limit: number;
}

/** Every sandbox of this engine. They live in memory: none outlives the engine, and the next one clears what is left. */
export class Sandboxes {
  readonly #parts: SandboxesParts;
  readonly #all = new Map<string, Sandbox>();
  readonly #processes = new Map<string, SandboxProcess>();

  constructor(parts: SandboxesParts) {
    this.#parts = parts;
  }

  /** Registers at once, so that whatever is asked of it next finds it; its image is found and its start goes on behind. */
  create(request: VerbRequest<'create_sandbox'>, laid: LaidOver, owner: Owner): Sandbox {
    const id = request.sandbox_id ?? `sb-${randomBytes(8).toString('hex')}`;
    if (this.#all.has(id) || this.#processes.has(mainProcessOf(id))) throw alreadyThere('sandbox_id', id);
    if (this.living >= this.#parts.limit) throw tooMany(this.#parts.limit);
    const sandbox = new Sandbox(
      {
        runtimes: this.#parts.runtimes,
        spools: this.#parts.spools,
        feed: this.#parts.feed,
        log: this.#parts.log,
        changed: changed => this.#parts.events.emit({ topic: 'sandbox', sandbox: changed.view() }),
        forgot: process => this.#processes.delete(process.id),
      },
      {
        id,
        request,
        owner: request.detached ? undefined : owner,
        laid,
        findImage: async signal => {
          const { image } = await this.#parts.startImages.find(request.image, request.workspace, signal);
          this.#parts.images.touch(image.uuid);
          return image;
        },
      },
    );
    this.#all.set(id, sandbox);
    for (const process of sandbox.processes) this.#processes.set(process.id, process);
    void sandbox.ended.then(() => this.#prune());
    return sandbox;
  }

  exec(request: VerbRequest<'exec'>): SandboxProcess {
    const id = request.process_id ?? `pr-${randomBytes(8).toString('hex')}`;
    if (this.#processes.has(id)) throw alreadyThere('process_id', id);
    const process = this.find(request.sandbox_id).exec(id, request);
    this.#processes.set(id, process);
    return process;
  }

  find(id: string): Sandbox {
    const sandbox = this.#all.get(id);
    if (!sandbox)
      throw new CoppiceError('sandbox_not_found', `no sandbox ${id}`, {
        field: 'sandbox_id',
        fix: 'See list_sandboxes; with show_terminated also those that are over.',
        data: { sandbox_id: id },
      });
    return sandbox;
  }

  process(id: string, field = 'process_id'): SandboxProcess {
    const process = this.#processes.get(id);
    if (!process) throw new CoppiceError('process_not_found', `no process ${id}`, { field, data: { process_id: id } });
    return process;
  }

  /** The newest first. */
  list(filter: {
    readonly tags: readonly string[];
    readonly status: SandboxStatus | undefined;
    readonly showTerminated: boolean;
  }): Sandbox[] {
    const showOver = filter.showTerminated || (filter.status !== undefined && isOver(filter.status));
    return [...this.#all.values()]
      .reverse()
      .filter(sandbox => showOver || !sandbox.over)
      .filter(sandbox => filter.status === undefined || sandbox.status === filter.status)
      .filter(sandbox => filter.tags.every(tag => sandbox.tags.includes(tag)));
  }

  get living(): number {
    let count = 0;
    for (const sandbox of this.#all.values()) if (!sandbox.over) count++;
    return count;
  }

  /** Image → a living sandbox that stands on it. */
  inUse(): Map<string, string> {
    const used = new Map<string, string>();
    for (const sandbox of this.#all.values())
      if (!sandbox.over && sandbox.usedImage !== undefined) used.set(sandbox.usedImage, sandbox.id);
    return used;
  }

  /** The connection is gone, and with it whatever lived as long as it. */
  clientGone(clientId: string): void {
    for (const sandbox of this.ownedBy('client', clientId)) this.abandon(sandbox);
  }

  /** Living ones. */
  ownedBy(kind: 'client' | 'session', id: string): Sandbox[] {
    return [...this.#all.values()].filter(
      sandbox => !sandbox.over && sandbox.owner?.kind === kind && sandbox.owner.id === id,
    );
  }

  /** Stops it although nobody waits for that. */
  abandon(sandbox: Sandbox): void {
    sandbox.stop().catch(error => this.#parts.log.error(`${sandbox.id}, which nobody needs, did not stop`, error));
  }

  async stopAll(): Promise<void> {
    const stops = await Promise.allSettled([...this.#all.values()].map(sandbox => sandbox.stop()));
    for (const stop of stops)
      if (stop.status === 'rejected') this.#parts.log.error('a sandbox did not stop', stop.reason);
  }

  #prune(): void {
    const over = [...this.#all.values()].filter(sandbox => sandbox.over);
    for (const sandbox of over.slice(0, Math.max(0, over.length - KEPT_FINISHED))) {
      this.#all.delete(sandbox.id);
      for (const process of sandbox.processes) {
        this.#processes.delete(process.id);
        this.#parts.spools.remove(process.id);
      }
    }
  }
}

function alreadyThere(field: string, id: string): CoppiceError {
  return new CoppiceError('already_exists', `there is ${id} already`, {
    field,
    fix: 'Mint another id, or leave it out.',
    data: { id },
  });
}

function tooMany(limit: number): CoppiceError {
  return new CoppiceError('engine_busy', `${limit} sandboxes live already, as many as may at once`, {
    fix: 'Stop some of them, or start the engine with a larger COPPICE_MAX_SANDBOXES.',
    data: { limit },
  });
}
