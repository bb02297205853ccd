import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BranchStore } from '../../../src/engine/branches/branchStore.ts';
import type { Call } from '../../../src/engine/call.ts';
import { EventBus } from '../../../src/engine/eventBus.ts';
import { ImageStore, type NewImage } from '../../../src/engine/images/imageStore.ts';
import { Log } from '../../../src/engine/log.ts';
import { OperationStore } from '../../../src/engine/operations/operationStore.ts';
import { Operations } from '../../../src/engine/operations/operations.ts';
import { OutputFeed } from '../../../src/engine/operations/outputFeed.ts';
import { Scheduler } from '../../../src/engine/operations/scheduler.ts';
import { Database } from '../../../src/engine/store/database.ts';
import { Spools } from '../../../src/engine/store/spools.ts';
import type { EngineEvent } from '../../../src/protocol/events.ts';

/** The engine's own stores over a real SQLite file in a folder that goes with the test. */
export class Parts implements Disposable {
  readonly home: string;
  readonly database: Database;
  readonly events = new EventBus();
  readonly seen: EngineEvent[] = [];
  readonly log: Log;
  readonly spools: Spools;
  readonly feed: OutputFeed;
  readonly scheduler: Scheduler;
  readonly store: OperationStore;
  readonly operations: Operations;
  readonly images: ImageStore;
  readonly branches: BranchStore;
  readonly #ownsHome: boolean;

  constructor(options: { readonly home?: string; readonly concurrency?: number } = {}) {
    this.#ownsHome = options.home === undefined;
    this.home = options.home ?? temporaryHome();
    this.database = new Database(this.home);
    this.log = new Log(path.join(this.home, 'engine.log'));
    this.spools = new Spools(this.home);
    this.feed = new OutputFeed(this.spools);
    this.scheduler = new Scheduler(options.concurrency ?? 4);
    this.store = new OperationStore(this.database);
    this.operations = new Operations({ ...this, events: this.events });
    this.images = new ImageStore(this.database, this.events);
    this.branches = new BranchStore(this.database, this.events);
    this.events.listen(event => this.seen.push(event));
  }

  image(uuid: string, more: Partial<NewImage> = {}): string {
    this.images.insert({ ...newImage(uuid), ...more });
    return uuid;
  }

  [Symbol.dispose](): void {
    this.database.close();
    if (this.#ownsHome) rmSync(this.home, { recursive: true, force: true });
  }
}

export const temporaryHome = (): string => mkdtempSync(path.join(tmpdir(), 'coppice-unit-'));

/** `uuid(0xabc)` ends in `abc`; the first eight digits come from `head`. */
export function uuid(number: number, head = '00000000'): string {
  return `${head}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
}

export function newImage(id: string): NewImage {
  return {
    uuid: id,
    runtime: 'native',
    data: { layers: [id.slice(-4)] },
    config: { env: {}, cwd: '/', user: '', entrypoint: [], cmd: [], labels: {}, architecture: 'x86_64' },
    parent: null,
    operationId: null,
    command: null,
    exitCode: null,
    source: null,
    digest: null,
    size: 1,
  };
}

export const newOperation = {
  kind: 'run',
  title: 'true',
  image: null,
  input: {},
  disposable: true,
  directoryStateId: null,
  runtime: 'native',
  client: 'test',
  hints: [],
} as const;

export function call(id = 'client-1', signal = new AbortController().signal): Call {
  return { signal, client: { id, kind: 'test' }, progress: () => {} };
}

/** A promise that the test resolves. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
