import { randomUUID } from 'node:crypto';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import { isTagName } from '../../protocol/names.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageSource, Runtime } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import type { Operations } from '../operations/operations.ts';
import type { Runtimes } from '../runtimes.ts';
import type { HeldImage } from './imageRemoval.ts';
import type { ImageRecord, ImageStore } from './imageStore.ts';

type Request = VerbRequest<'import_image'>;
type Result = VerbResult<'import_image'>;

/** Takes images that no record names off the disk. */
type Discard = (images: readonly HeldImage[]) => Promise<unknown>;

/** The verb `import_image`: looks first whether it is already here, by the source's identity. */
export class ImportImage {
  readonly #images: ImageStore;
  readonly #operations: Operations;
  readonly #runtimes: Runtimes;
  readonly #discard: Discard;
  /** Imports of one source that are going on: who asks meanwhile waits for the same operation. */
  readonly #going = new Map<string, string>();

  constructor(images: ImageStore, operations: Operations, runtimes: Runtimes, discard: Discard) {
    this.#images = images;
    this.#operations = operations;
    this.#runtimes = runtimes;
    this.#discard = discard;
  }

  async call(request: Request, call: Call): Promise<Result> {
    const source = parseSource(request.registry_url);
    if (request.platform !== undefined)
      throw invalidInput('platform', `${source.kind}: has no platform to choose from`, 'Leave it out.');
    const runtime = await this.#runtimeFor(source, request);
    const here = request.force ? undefined : await this.#alreadyHere(source, runtime);
    if (here) return this.#alreadyPresent(here, request.tag);

    const key = `${runtime.name} ${request.registry_url} ${request.tag ?? ''}`;
    const going = this.#going.get(key);
    const id = going ?? this.#start(source, runtime, request, call);
    if (going === undefined) {
      this.#going.set(key, id);
      void this.#operations.ended(id).then(() => this.#going.delete(key));
    }
    if (!request.wait) return this.#answer(id);
    await this.#operations.ended(id, withTimeout(call.signal, request.timeout));
    if (call.signal.aborted && going === undefined) await this.#operations.cancel(id);
    // Whoever began it gave up; that is no reason for those who waited along.
    if (going !== undefined && !call.signal.aborted && this.#operations.record(id).status === 'CANCELLED')
      return this.call(request, call);
    return this.#answer(id);
  }

  /** The machine as it is now, imported when it is not here yet or has changed. */
  async host(signal: AbortSignal, call: Omit<Call, 'signal'>): Promise<ImageRecord> {
    const here = await this.#alreadyHere({ kind: 'host' }, this.#runtimes.of({ runtime: 'native' }));
    if (here) return here;
    const result = await this.call(
      { registry_url: 'host:', wait: true, force: false, timeout: 0 },
      { ...call, signal },
    );
    const image = result.image === null ? undefined : this.#images.find(result.image);
    if (image) return image;
    signal.throwIfAborted();
    throw new CoppiceError('import_failed', result.error?.message ?? 'the machine could not be taken as a base', {
      ...(result.error?.fix === undefined ? {} : { fix: result.error.fix }),
    });
  }

  async #runtimeFor(source: ImageSource, request: Request): Promise<Runtime> {
    if (source.kind !== 'host')
      return request.runtime === undefined
        ? this.#runtimes.preferred()
        : this.#runtimes.of({ runtime: request.runtime });
    if (request.runtime === undefined || request.runtime === 'native') return this.#runtimes.of({ runtime: 'native' });
    throw new CoppiceError(
      'unsupported',
      '`host:` is of the native runtime alone: it lies on this machine’s own files',
      {
        field: 'runtime',
        fix: 'Import an image for docker, as rootfs:/path/to.tar, or use the runtime native.',
      },
    );
  }

  async #alreadyHere(source: ImageSource, runtime: Runtime): Promise<ImageRecord | undefined> {
    const digest = await runtime.identify(source);
    return digest === undefined ? undefined : this.#images.byDigest(runtime.name, digest)[0];
  }

  #alreadyPresent(here: ImageRecord, tag: string | undefined): Result {
    const image = tag === undefined || tag === here.tag ? here : this.#tagged(here, tag);
    const hints = [
      `It is already here as ${here.tag ?? here.uuid}; nothing was imported. To import it again: force:true.`,
    ];
    if (image.uuid !== here.uuid) hints.push(`${tag} is an image of its own, which shares its files.`);
    return {
      operation_id: null,
      status: 'SUCCESS',
      image: image.uuid,
      digest: image.digest,
      already_present: true,
      checked: true,
      tag: image.tag,
      error: null,
      hints,
    };
  }

  /** One digest under two names is two images that share layers: no name takes another's away. */
  #tagged(here: ImageRecord, tag: string): ImageRecord {
    const holder = this.#images.byTag(tag);
    if (holder && holder.digest === here.digest && holder.runtime === here.runtime) return holder;
    const uuid = here.tag === null ? here.uuid : randomUUID();
    if (uuid === here.uuid) this.#images.setTag(uuid, tag);
    else this.#images.insertTagged({ ...here, uuid }, tag);
    return this.#images.find(uuid)!;
  }

  #start(source: ImageSource, runtime: Runtime, request: Request, call: Call): string {
    const uuid = randomUUID();
    const record = this.#operations.start(
      {
        kind: 'import_image',
        title: `import ${request.registry_url}`,
        image: null,
        input: { ...request },
        disposable: false,
        directoryStateId: null,
        runtime: runtime.name,
        client: call.client.kind,
        hints: [],
      },
      call.client.id,
      async job => {
        const imported = await runtime.importImage(source, {
          uuid,
          signal: job.signal,
          progress: (message, done, total) =>
            call.progress({
              message,
              ...(done === undefined ? {} : { done }),
              ...(total === undefined ? {} : { total }),
            }),
        });
        const image = {
          uuid,
          runtime: runtime.name,
          data: imported.data,
          config: imported.config,
          parent: null,
          operationId: job.operation.id,
          command: null,
          exitCode: null,
          source: request.registry_url,
          digest: imported.digest,
          size: imported.size,
        };
        let untagged: string | null = null;
        return {
          status: 'SUCCESS',
          resultImage: uuid,
          commit: () => {
            this.#images.insert(image);
            const tag = request.tag ?? this.#ownTag(source);
            if (tag !== undefined) untagged = this.#images.setTagInTransaction(uuid, tag).movedFrom;
          },
          announce: () => {
            this.#images.announce(uuid, 'added');
            if (untagged) this.#images.announce(untagged, 'changed');
          },
          discard: () => this.#discard([image]),
        };
      },
    );
    return record.id;
  }

  /** Without a tag asked for, an import gets its short name, unless another image holds it. */
  #ownTag(source: ImageSource): string | undefined {
    const name =
      source.kind === 'host'
        ? 'host'
        : source.path
            .replace(/\/+$/, '')
            .split('/')
            .at(-1)!
            .replace(/\.(tar|tgz|tar\.gz|tar\.zst)$/, '');
    return isTagName(name) && !this.#images.byTag(name) ? name : undefined;
  }

  #answer(id: string): Result {
    const record = this.#operations.record(id);
    const image = record.resultImage === null ? undefined : this.#images.find(record.resultImage);
    return {
      operation_id: id,
      status: record.status,
      image: record.resultImage,
      digest: image?.digest ?? null,
      already_present: false,
      checked: true,
      tag: image?.tag ?? null,
      error:
        record.error === null
          ? null
          : {
              code: record.error.code,
              message: record.error.message,
              ...(record.error.fix === undefined ? {} : { fix: record.error.fix }),
            },
      hints: [...record.hints],
    };
  }
}

function parseSource(reference: string): ImageSource {
  if (reference === 'host:') return { kind: 'host' };
  if (reference.startsWith('rootfs:')) {
    const path = reference.slice('rootfs:'.length);
    if (!path.startsWith('/'))
      throw invalidInput('registry_url', 'rootfs: needs an absolute path of a tar or a folder');
    return { kind: 'rootfs', path };
  }
  throw new CoppiceError('unsupported', `cannot import ${reference}`, {
    field: 'registry_url',
    fix: 'Use host: for this machine, or rootfs:/path/to/tar-or-folder.',
  });
}

function withTimeout(signal: AbortSignal, seconds: number): AbortSignal {
  return seconds === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
}
