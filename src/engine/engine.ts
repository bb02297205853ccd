import { firstOf } from '../registry/credentials.ts';
import { dockerCredentials } from '../registry/dockerCredentials.ts';
import { KeptCredentials } from '../registry/keptCredentials.ts';
import { OutsideImages } from '../registry/outsideImages.ts';
import { artifactVerbs } from './artifacts/artifactVerbs.ts';
import { Ground } from './artifacts/ground.ts';
import { BranchStore } from './branches/branchStore.ts';
import { branchVerbs } from './branches/branchVerbs.ts';
import type { Call, Handlers } from './call.ts';
import { dispatch } from './dispatch.ts';
import { doctorVerbs } from './doctor/doctorVerbs.ts';
import { EventBus } from './eventBus.ts';
import { FileStore } from './files/fileStore.ts';
import { guide } from './guides/guides.ts';
import { Build } from './images/build.ts';
import { exportImage } from './images/exportImage.ts';
import { HostDrift } from './images/hostDrift.ts';
import { ImageRemoval } from './images/imageRemoval.ts';
import { ImageStore, toRuntimeImage } from './images/imageStore.ts';
import { imageVerbs } from './images/imageVerbs.ts';
import { ImportImage } from './images/importImage.ts';
import { recipe } from './images/recipe.ts';
import { RegistryAuth } from './images/registryAuth.ts';
import { removalVerbs } from './images/removalVerbs.ts';
import type { Log } from './log.ts';
import { type OperationRecord, OperationStore } from './operations/operationStore.ts';
import { Operations } from './operations/operations.ts';
import { operationVerbs } from './operations/operationVerbs.ts';
import { OutputFeed } from './operations/outputFeed.ts';
import { Run } from './operations/run.ts';
import { Scheduler } from './operations/scheduler.ts';
import { StartImages } from './operations/startImage.ts';
import type { Runtimes } from './runtimes.ts';
import { Sandboxes } from './sandboxes/sandboxes.ts';
import { sandboxFileVerbs } from './sandboxes/sandboxFileVerbs.ts';
import { sandboxVerbs } from './sandboxes/sandboxVerbs.ts';
import { Sessions } from './sandboxes/sessions.ts';
import { sessionVerbs } from './sandboxes/sessionVerbs.ts';
import { Snapshots } from './sandboxes/snapshots.ts';
import type { EngineSettings } from './settings.ts';
import { Blobs } from './store/blobs.ts';
import { Database } from './store/database.ts';
import { Spools } from './store/spools.ts';
import { Apply } from './sync/apply.ts';
import { StateLayers } from './sync/stateLayers.ts';
import { StateStore } from './sync/stateStore.ts';
import { stateVerbs } from './sync/stateVerbs.ts';
import { Sync } from './sync/sync.ts';

/** Most engines stay a few minutes; one that is used all day collects a few times. */
const FIRST_COLLECT_MS = 5 * 60_000;
const COLLECT_INTERVAL_MS = 6 * 3_600_000;
const KEEP_STATES_MS = 14 * 86_400_000;

/** The domain, put together: stores, operations, verbs over the runtimes. Knows nothing of sockets. */
export class Engine {
  readonly events = new EventBus();
  readonly feed: OutputFeed;
  readonly #database: Database;
  readonly #runtimes: Runtimes;
  readonly #scheduler: Scheduler;
  readonly #operations: Operations;
  readonly #sandboxes: Sandboxes;
  readonly #sessions: Sessions;
  readonly #images: ImageStore;
  readonly #spools: Spools;
  readonly #drift: HostDrift;
  readonly #sync: Sync;
  readonly #run: Run;
  readonly #log: Log;
  #collecting: NodeJS.Timeout | undefined;
  readonly #handlers: Handlers;

  constructor(
    home: string,
    settings: EngineSettings,
    runtimes: Runtimes,
    log: Log,
    syncScript: string,
    guides: string,
    onWiped: () => void,
  ) {
    this.#runtimes = runtimes;
    this.#log = log;
    this.#database = new Database(home);
    const blobs = new Blobs(home);
    this.#spools = new Spools(home, settings.outputCap);
    this.feed = new OutputFeed(this.#spools);
    this.#scheduler = new Scheduler(settings.concurrency);
    const operationStore = new OperationStore(this.#database);
    this.#operations = new Operations({
      database: this.#database,
      store: operationStore,
      scheduler: this.#scheduler,
      spools: this.#spools,
      feed: this.feed,
      events: this.events,
      log,
    });
    this.#images = new ImageStore(this.#database, this.events);
    this.#drift = new HostDrift(runtimes.of({ runtime: 'native' }), this.#images);
    const branches = new BranchStore(this.#database, this.events);
    const files = new FileStore(this.#database, blobs);
    const removal = new ImageRemoval(
      this.#images,
      branches,
      runtimes,
      () => new Map([...operationStore.imagesInUse(), ...this.#sandboxes.inUse()]),
    );
    const discard = removal.discard.bind(removal);
    const credentials = new KeptCredentials(home);
    const outside = new OutsideImages(
      home,
      firstOf(credentials, dockerCredentials(settings.environment)),
      settings.environment,
    );
    const importImage = new ImportImage(this.#images, this.#operations, runtimes, outside, discard);
    const startImages = new StartImages({
      images: this.#images,
      branches,
      runtimes,
      defaultImage: settings.defaultImage,
      found: image => this.#drift.lookBehind(image, error => log.error('looking at the machine', error)),
      importHost: async signal => {
        const refreshed = this.#drift.refresh();
        const here = this.#drift.current();
        if (here) {
          refreshed.catch(error => log.error('looking at the machine', error));
          return here;
        }
        await refreshed;
        return importImage.host(signal, { client: { id: 'engine', kind: 'cli' }, progress: () => {} });
      },
    });
    const states = new StateStore(this.#database);
    this.#sync = new Sync({ home, script: syncScript, states, events: this.events });
    const stateLayers = new StateLayers({ states, sync: this.#sync, images: this.#images, operations: operationStore });
    this.#run = new Run({
      images: this.#images,
      branches,
      files,
      stateLayers,
      spools: this.#spools,
      operations: this.#operations,
      startImages,
      runtimes,
      discard,
      measureLater: image => {
        runtimes
          .of(image)
          .measure(toRuntimeImage(image))
          .then(size => this.#images.measured(image.uuid, size))
          .catch(error => log.error(`image ${image.uuid} was not measured`, error));
      },
    });
    this.#sandboxes = new Sandboxes({
      runtimes,
      images: this.#images,
      startImages,
      spools: this.#spools,
      feed: this.feed,
      events: this.events,
      log,
      limit: settings.maxSandboxes,
    });
    this.#sessions = new Sessions(this.#sandboxes);
    this.#handlers = {
      ...stateVerbs(
        this.#sync,
        states,
        new Apply({ images: this.#images, operations: operationStore, states, blobs, runtimes }),
      ),
      ...imageVerbs(
        this.#images,
        importImage,
        new Build({
          images: this.#images,
          operations: this.#operations,
          runtimes,
          spools: this.#spools,
          importImage,
          discard,
        }),
        new RegistryAuth(credentials, settings.environment),
        this.#operations,
        this.#drift,
      ),
      ...operationVerbs(
        this.#operations,
        this.#spools,
        this.feed,
        id => this.#sandboxes.process(id, 'operation_id').output,
      ),
      ...sandboxFileVerbs(this.#sandboxes),
      ...sessionVerbs(this.#sessions),
      ...sandboxVerbs(
        this.#sandboxes,
        this.#sessions,
        new Snapshots(this.#images, this.#operations),
        files,
        stateLayers,
      ),
      ...branchVerbs(branches, this.#images, startImages),
      ...artifactVerbs(
        this.#images,
        runtimes,
        new Ground({ images: this.#images, operations: operationStore, states, files, blobs }),
        home,
      ),
      ...removalVerbs(removal),
      ...doctorVerbs({
        home,
        settings,
        runtimes: runtimes.all,
        images: this.#images,
        operations: this.#operations,
        stopAll: () => this.#stopAll(),
        wiped: onWiped,
      }),
      export_image: (request, call) => exportImage(this.#images, runtimes, home, request, call),
      run: (request, call) => this.#run.call(request, call),
      run_again: (request, call) => this.#run.again(request.operation_id, call),
      recipe: async request =>
        recipe(
          { images: this.#images, operations: operationStore, states },
          this.#images.resolve(request.image),
          request.format,
        ),
      upload: (request, call) => files.upload(request, call),
      get_guide: async ({ section }) => guide(guides, section),
    };
  }

  /** After whatever happened before: unfinished operations end, and what belongs to nothing goes, while we already serve. */
  recover(): void {
    const sandboxes = this.#operations.endInterrupted(record => this.#resume(record));
    this.#spools.reap(new Set(this.#operations.ids()));
    for (const runtime of this.#runtimes.all) {
      const images = this.#images.living().filter(image => image.runtime === runtime.name);
      runtime
        .reap({ images: images.map(toRuntimeImage), sandboxes })
        .catch(error => this.#log.error(`cleaning up after an earlier engine in ${runtime.name}`, error));
    }
    this.#collectStatesIn(FIRST_COLLECT_MS);
  }

  /** What cannot be taken up again ends as interrupted. */
  #resume(record: OperationRecord): string | undefined {
    try {
      return this.#run.resume(record);
    } catch (error) {
      this.#log.error(`operation ${record.id} was not taken up again`, error);
      return undefined;
    }
  }

  #collectStatesIn(delay: number): void {
    this.#collecting = setTimeout(() => {
      this.#collectStates();
      this.#collectStatesIn(COLLECT_INTERVAL_MS);
    }, delay);
    this.#collecting.unref();
  }

  #collectStates(): void {
    this.#sync
      .collect(Date.now() - KEEP_STATES_MS)
      .then(({ states, blobs }) => this.#log.info(`collected ${states} directory states, ${blobs} blobs`))
      .catch(error => this.#log.error('collecting directory states', error));
  }

  async dispatch(verb: string, input: unknown, call: Call): Promise<unknown> {
    return dispatch(this.#handlers, verb, input, call);
  }

  get running(): number {
    return this.#scheduler.running;
  }

  get queued(): number {
    return this.#scheduler.queued;
  }

  /** Those that live. */
  get sandboxes(): number {
    return this.#sandboxes.living;
  }

  /** What lived as long as this client's connection ends. */
  clientGone(clientId: string): void {
    this.#sessions.clientGone(clientId);
    this.#sandboxes.clientGone(clientId);
  }

  #stopAll(): Promise<unknown> {
    return Promise.all([this.#operations.cancelAll(), this.#sandboxes.stopAll()]);
  }

  async close(): Promise<void> {
    clearTimeout(this.#collecting);
    await this.#stopAll();
    await this.#sync.close();
    await Promise.all(this.#runtimes.all.map(runtime => runtime.close()));
    this.#database.close();
  }
}
