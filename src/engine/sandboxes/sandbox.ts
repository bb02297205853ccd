import { CoppiceError, toWireError, type WireError } from '../../protocol/errors.ts';
import type { SandboxStatus, SandboxView } from '../../protocol/schemas/sandboxes.ts';
import type { VerbRequest } from '../../protocol/verbs.ts';
import type { ProcessSpec, RuntimeProcess, RuntimeSandbox, SandboxSpec } from '../../runtimes/runtime.ts';
import { type ImageRecord, toRuntimeImage } from '../images/imageStore.ts';
import type { Log } from '../log.ts';
import type { OutputFeed } from '../operations/outputFeed.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Spools } from '../store/spools.ts';
import type { StateOver } from '../sync/stateLayers.ts';
import { SandboxProcess } from './sandboxProcess.ts';

export interface SandboxTools {
  readonly runtimes: Runtimes;
  readonly spools: Spools;
  readonly feed: OutputFeed;
  readonly log: Log;
  /** Told at once when the status changes, and soon when the processes do. */
  readonly changed: (sandbox: Sandbox) => void;
  /** Told when the record of a process that ended long ago is dropped. */
  readonly forgot: (process: SandboxProcess) => void;
}

/** What the sandbox finds over its image. */
export type LaidOver = Pick<SandboxSpec, 'files' | 'limits'> & { readonly state: StateOver | undefined };

/** What it lives as long as: a client's connection or a session. undefined: on its own. */
export type Owner = { readonly kind: 'client' | 'session'; readonly id: string } | undefined;

export interface NewSandbox {
  readonly id: string;
  readonly request: VerbRequest<'create_sandbox'>;
  readonly owner: Owner;
  readonly laid: LaidOver;
  /** Decides what it starts from; the signal says that nobody wants it any more. */
  readonly findImage: (signal: AbortSignal) => Promise<ImageRecord>;
}

/** A status only ever moves to one of a higher rank. */
const RANK: Readonly<Record<SandboxStatus, number>> = {
  pending: 0,
  creating: 1,
  running: 2,
  terminating: 3,
  completed: 4,
  failed: 4,
  terminated: 4,
};
export const isOver = (status: SandboxStatus): boolean => RANK[status] === 4;

/** The main process's id is the sandbox's own in another dress, so that who minted one knows the other. */
export const mainProcessOf = (sandboxId: string): string => `pr-${sandboxId.slice('sb-'.length)}`;

const ANNOUNCE_MS = 250;
/** Of processes that have ended, so many keep their record and output. */
const KEPT_PROCESSES = 1_000;

/** One sandbox from the moment it is asked for to its end: its status, its processes, its one stop. */
export class Sandbox {
  readonly id: string;
  readonly tags: readonly string[];
  /** What it starts from, known before the runtime makes it. */
  readonly image: Promise<ImageRecord>;
  /** Resolves when it runs; rejects with what kept it from that. */
  readonly ready: Promise<RuntimeSandbox>;
  /** Resolves at the terminal status. */
  readonly ended: Promise<void>;
  readonly #tools: SandboxTools;
  readonly #new: NewSandbox;
  readonly #createdAt = Date.now();
  readonly #abandoned = new AbortController();
  readonly #made: Promise<RuntimeSandbox>;
  readonly #processes = new Map<string, SandboxProcess>();
  #owner: Owner;
  #status: SandboxStatus = 'pending';
  #record: ImageRecord | undefined;
  #stopping: Promise<void> | undefined;
  #error: WireError | null = null;
  #finishedAt: number | undefined;
  #announcing: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(tools: SandboxTools, sandbox: NewSandbox) {
    this.id = sandbox.id;
    this.tags = sandbox.request.tags;
    this.#owner = sandbox.owner;
    this.#tools = tools;
    this.#new = sandbox;
    this.image = sandbox.findImage(this.#abandoned.signal);
    this.#made = this.image.then(image => this.#make(image));
    this.ready = this.#made.then(made => this.#begin(made));
    // Those who wait for it are told; without any it is no failure of the engine's.
    for (const promise of [this.image, this.#made, this.ready]) promise.catch(() => undefined);
    if (sandbox.request.command)
      this.#add(this.mainId, sandbox.request.command, () => this.ready.then(made => made.main));
    this.ended = this.#live();
  }

  get owner(): Owner {
    return this.#owner;
  }

  /** From now on it lives as long as that. */
  own(owner: Owner): void {
    this.#owner = owner;
    this.#announceSoon();
  }

  get mainId(): string {
    return mainProcessOf(this.id);
  }

  get status(): SandboxStatus {
    return this.#status;
  }

  get over(): boolean {
    return isOver(this.#status);
  }

  /** The image whose files it needs while it lives. */
  get usedImage(): string | undefined {
    return this.#record?.uuid;
  }

  get directoryStateId(): string | null {
    return this.#new.request.directory_state_id ?? null;
  }

  get processes(): readonly SandboxProcess[] {
    return [...this.#processes.values()];
  }

  async #make(image: ImageRecord): Promise<RuntimeSandbox> {
    this.#record = image;
    this.#abandoned.signal.throwIfAborted();
    this.#advance('creating');
    const { request, laid } = this.#new;
    return this.#tools.runtimes.of(image).create({
      id: this.id,
      image: toRuntimeImage(image),
      main: request.command && this.#spec(this.mainId, { command: request.command, env: {} }, image),
      hostname: 'coppice',
      network: request.network,
      files: laid.files,
      limits: laid.limits,
      state: laid.state?.(image),
    });
  }

  #begin(made: RuntimeSandbox): RuntimeSandbox {
    this.#abandoned.signal.throwIfAborted();
    this.#advance('running');
    return made;
  }

  async #live(): Promise<void> {
    let lifetime: NodeJS.Timeout | undefined;
    let end: SandboxStatus;
    try {
      const made = await this.#made;
      lifetime = this.#limitLifetime();
      const { exitCode } = await made.main.exited;
      end = exitCode === 0 ? 'completed' : 'failed';
      // Nothing but a stop ends a sandbox that idles.
      if (!this.#new.request.command) throw diedByItself(this.id);
    } catch (error) {
      end = 'failed';
      this.#error = toWireError(error);
    }
    clearTimeout(lifetime);
    if (this.#stopping) {
      end = 'terminated';
      this.#error = null;
    }
    this.#abandoned.abort(this.#gone(end));
    await this.#cleanUp();
    this.#finishedAt = Date.now();
    this.#advance(end);
  }

  #limitLifetime(): NodeJS.Timeout | undefined {
    const { lifetime } = this.#new.request;
    if (lifetime === 0) return undefined;
    const stop = () =>
      this.stop().catch(error => this.#tools.log.error(`${this.id} at the end of its lifetime`, error));
    return setTimeout(stop, lifetime * 1000);
  }

  /** Its processes have ended with it; their output is whole before it is over. */
  async #cleanUp(): Promise<void> {
    try {
      const made = await this.#made.catch(() => undefined);
      await made?.remove();
    } catch (error) {
      this.#tools.log.error(`${this.id} could not be cleaned up`, error);
    }
    await Promise.all(this.processes.map(process => process.ended));
  }

  /** One stop, shared by all who ask for it. Resolves at the terminal status. */
  stop(): Promise<void> {
    if (this.over) return Promise.resolve();
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#advance('terminating');
    this.#abandoned.abort(this.#gone('terminating'));
    try {
      const made = await this.#made.catch(() => undefined);
      await made?.stop();
    } catch (error) {
      // Whoever asks again tries again.
      this.#stopping = undefined;
      throw error;
    }
    await this.ended;
  }

  /** It runs, or did; rejects with what kept it from that. */
  async started(): Promise<void> {
    if (this.over && this.#error === null && this.#status !== 'terminated') return;
    await this.runtime();
  }

  /** The runtime's end of it, as soon as it runs and as long as it does. */
  async runtime(): Promise<RuntimeSandbox> {
    if (this.over) throw this.#gone(this.#status);
    return this.ready;
  }

  /** Registers at once and starts as soon as the sandbox runs, so that what is asked of the process next finds it. */
  exec(id: string, request: VerbRequest<'exec'>): SandboxProcess {
    if (this.over) throw this.#gone(this.#status);
    return this.#add(
      id,
      request.command,
      async () => {
        const made = await this.ready;
        return made.exec(id, this.#spec(id, request, this.#record!));
      },
      request,
    );
  }

  #add(
    id: string,
    command: readonly string[],
    start: () => Promise<RuntimeProcess>,
    options: { readonly timeout?: number; readonly tty?: unknown } = {},
  ): SandboxProcess {
    const process = new SandboxProcess({
      id,
      sandboxId: this.id,
      command,
      terminal: options.tty !== undefined,
      timeout: options.timeout ?? 0,
      spools: this.#tools.spools,
      feed: this.#tools.feed,
      log: this.#tools.log,
      start,
    });
    process.started.catch(() => undefined);
    this.#processes.set(id, process);
    this.#announceSoon();
    void process.ended.then(() => {
      this.#forgetOldest();
      this.#announceSoon();
    });
    return process;
  }

  /** What the process does not say the sandbox does, and what that does not say the image does. */
  #spec(
    id: string,
    process: Pick<VerbRequest<'exec'>, 'command' | 'env'> & Partial<VerbRequest<'exec'>>,
    image: ImageRecord,
  ): ProcessSpec {
    const { request } = this.#new;
    return {
      args: process.command,
      env: { ...image.config.env, ...request.env, ...request.secrets, ...process.env },
      cwd: process.cwd ?? request.cwd ?? (image.config.cwd || '/'),
      user: process.user ?? request.user ?? (image.config.user || undefined),
      stdin: { kind: process.stdin === 'open' || process.tty ? 'open' : 'none' },
      tty: process.tty,
      spool: this.#tools.spools.open(id),
    };
  }

  /** One after the other: each snapshot's parent is the one before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #forgetOldest(): void {
    const ended = this.processes.filter(process => !process.running && process.id !== this.mainId);
    for (const process of ended.slice(0, Math.max(0, ended.length - KEPT_PROCESSES))) {
      this.#processes.delete(process.id);
      this.#tools.spools.remove(process.id);
      this.#tools.forgot(process);
    }
  }

  #advance(status: SandboxStatus): void {
    if (RANK[status] <= RANK[this.#status]) return;
    this.#status = status;
    this.#announce();
  }

  #announce(): void {
    clearTimeout(this.#announcing);
    this.#announcing = undefined;
    this.#tools.changed(this);
  }

  #announceSoon(): void {
    if (this.over) return;
    this.#announcing ??= setTimeout(() => this.#announce(), ANNOUNCE_MS);
  }

  #gone(status: SandboxStatus): CoppiceError {
    if (this.#error) return CoppiceError.from(this.#error);
    return new CoppiceError('conflict', `sandbox ${this.id} is ${status}`, {
      field: 'sandbox_id',
      fix: 'Make another with create_sandbox.',
      data: { sandbox_id: this.id, status },
    });
  }

  view(): SandboxView {
    const { request } = this.#new;
    const main = this.#processes.get(this.mainId);
    return {
      sandbox_id: this.id,
      status: this.#status,
      image: this.#record?.uuid ?? request.image ?? '',
      tags: [...this.tags],
      command: request.command ?? null,
      exit_code: main?.exitCode ?? null,
      runtime: this.#record?.runtime ?? this.#tools.runtimes.all[0]!.name,
      created_at: new Date(this.#createdAt).toISOString(),
      finished_at: this.#finishedAt === undefined ? null : new Date(this.#finishedAt).toISOString(),
      detached: this.#owner === undefined,
      session: this.#owner?.kind === 'session' ? this.#owner.id : null,
      processes: [...this.#processes.keys()],
      error: this.#error && { code: this.#error.code, message: this.#error.message },
    };
  }
}

function diedByItself(id: string): CoppiceError {
  return new CoppiceError('interrupted', `${id} ended although nobody stopped it`, {
    fix: 'Make another with create_sandbox; coppice engine log may say why.',
    data: { sandbox_id: id },
  });
}
