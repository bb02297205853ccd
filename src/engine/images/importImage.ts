import { randomUUID } from 'node:crypto';
import { CoppiceError } from '../../protocol/errors.ts';
import { isTagName } from '../../protocol/names.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import { shortDigest } from '../../registry/digest.ts';
import type { OpenedImage } from '../../registry/openedImage.ts';
import type { OutsideImages } from '../../registry/outsideImages.ts';
import { ownPlatform, parsePlatform } from '../../registry/platform.ts';
import type { ImageSource, ImportedImage, Runtime } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import type { Job, Operations, Outcome } from '../operations/operations.ts';
import type { Runtimes } from '../runtimes.ts';
import { imageOperation } from './imageOperation.ts';
import type { HeldImage } from './imageRemoval.ts';
import type { ImageRecord, ImageStore } from './imageStore.ts';
import { ImportProgress } from './importProgress.ts';
import { type ImportSource, parseImportSource } from './importSource.ts';

type Request = VerbRequest<'import_image'>;
type Result = VerbResult<'import_image'>;

/** Takes images that no record names off the disk. */
type Discard = (images: readonly HeldImage[]) => Promise<unknown>;

interface Wanted {
  readonly source: ImportSource;
  readonly runtime: Runtime;
  readonly request: Request;
  readonly call: Call;
}

/** A source as it was found just now. */
interface Found extends Wanted {
  /** undefined: nobody can tell without importing it. */
  readonly digest: string | undefined;
  /** What an import without a tag is called. */
  readonly name: string | undefined;
  /** Images from outside; runtimes take the others as they are. */
  readonly opened: OpenedImage | undefined;
}

/** The source could not be asked, but what it gave before is here. */
interface Unreachable {
  readonly local: ImageRecord;
  readonly why: string;
}

interface Going {
  readonly id: string;
  /** When this call is given up, so is the import. */
  readonly by: Call;
}

const UNREACHABLE: readonly string[] = ['no_network', 'registry_unavailable', 'rate_limited'];

/** The verb `import_image`: looks first whether it is already here, by the source's identity. */
export class ImportImage {
  readonly #images: ImageStore;
  readonly #operations: Operations;
  readonly #runtimes: Runtimes;
  readonly #outside: OutsideImages;
  readonly #discard: Discard;
  /** Imports of one source that are going on: who asks meanwhile waits for the same operation. */
  readonly #going = new Map<string, Going>();

  constructor(
    images: ImageStore,
    operations: Operations,
    runtimes: Runtimes,
    outside: OutsideImages,
    discard: Discard,
  ) {
    this.#images = images;
    this.#operations = operations;
    this.#runtimes = runtimes;
    this.#outside = outside;
    this.#discard = discard;
  }

  async call(request: Request, call: Call): Promise<Result> {
    const source = parseImportSource(request.registry_url, request.platform);
    const runtime = await this.#runtimeFor(source, request);
    const key = [runtime.name, source.text, request.tag ?? '', request.platform ?? ''].join(' ');
    const going = this.#going.get(key) ?? (await this.#lookFirst({ source, runtime, request, call }, key));
    return 'id' in going ? this.#follow(going, request, call) : going;
  }

  async #runtimeFor(source: ImportSource, request: Request): Promise<Runtime> {
    if (source.place.kind === 'docker-daemon') {
      if (request.runtime === 'native') throw ofDockerAlone();
      return this.#runtimes.of({ runtime: 'docker' });
    }
    if (source.place.kind !== 'host')
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

  /** Answers what is already here, or begins to bring it under `key`. */
  async #lookFirst(wanted: Wanted, key: string): Promise<Result | Going> {
    const found = await this.#find(wanted);
    if ('local' in found) return this.#unchecked(found, wanted.request.tag);
    const { digest, request } = found;
    const here = request.force || digest === undefined ? [] : this.#here(found, digest);
    const going = this.#going.get(key);
    if (here.length === 0 && going === undefined) return this.#begin(found, key);
    found.opened?.close(false);
    return here.length === 0 ? going! : this.#alreadyPresent(found, here);
  }

  #begin(found: Found, key: string): Going {
    const going = { id: this.#started(found), by: found.call };
    this.#going.set(key, going);
    void this.#operations.ended(going.id).then(() => {
      this.#going.delete(key);
      found.opened?.close(this.#operations.record(going.id).status === 'SUCCESS');
    });
    return going;
  }

  #started(found: Found): string {
    try {
      return this.#start(found);
    } catch (error) {
      found.opened?.close(false);
      throw error;
    }
  }

  async #follow({ id, by }: Going, request: Request, call: Call): Promise<Result> {
    if (!request.wait) return this.#answer(id);
    await this.#operations.ended(id, withTimeout(call.signal, request.timeout));
    if (call.signal.aborted && by === call) await this.#operations.cancel(id);
    // Whoever began it gave up; that is no reason for those who waited along.
    if (by !== call && !call.signal.aborted && this.#operations.record(id).status === 'CANCELLED')
      return this.call(request, call);
    return this.#answer(id);
  }

  /** The machine as it is now, imported when it is not here yet or has changed. */
  async host(signal: AbortSignal, call: Omit<Call, 'signal'>): Promise<ImageRecord> {
    const native = this.#runtimes.of({ runtime: 'native' });
    const digest = await native.identify({ kind: 'host' });
    const here = digest === undefined ? undefined : this.#images.byDigest(native.name, digest)[0];
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

  async #find(wanted: Wanted): Promise<Found | Unreachable> {
    const { source, runtime, request, call } = wanted;
    const { place } = source;
    if (place.kind !== 'registry' && place.kind !== 'archive') {
      const digest = await runtime.identify(place);
      return { ...wanted, digest, name: source.name, opened: undefined };
    }
    const local = request.force ? undefined : this.#fromBefore(wanted);
    try {
      const options = { platform: request.platform, patient: local === undefined, signal: call.signal };
      const opened = await this.#outside.open(place, options);
      return { ...wanted, digest: opened.digest, name: source.name ?? opened.name, opened };
    } catch (error) {
      if (local && error instanceof CoppiceError && UNREACHABLE.includes(error.code))
        return { local, why: error.message };
      throw error;
    }
  }

  /** Of the wanted platform: an image without an index has one digest for whoever asks. */
  #here(found: Found, digest: string): ImageRecord[] {
    const images = this.#images.byDigest(found.runtime.name, digest);
    return found.opened ? images.filter(image => runsOn(found, image)) : images;
  }

  /** What the same reference gave before, for the same platform: the one that carries its name, else the newest. */
  #fromBefore(wanted: Wanted): ImageRecord | undefined {
    const { source, runtime } = wanted;
    const images = this.#images.bySource(runtime.name, source.text).filter(image => runsOn(wanted, image));
    return images.find(image => image.tag === source.name) ?? images[0];
  }

  #unchecked({ local, why }: Unreachable, tag: string | undefined): Result {
    const image = tag === undefined || tag === local.tag ? local : this.#tagged(local, tag, local.source);
    const hint = `It could not be looked whether it has changed: ${why}. This is the one from ${new Date(local.createdAt).toISOString()}.`;
    return this.#present(image, false, [hint]);
  }

  #alreadyPresent(found: Found, here: readonly ImageRecord[]): Result {
    const same = here.filter(image => image.source === found.source.text);
    const known = same.find(image => image.tag === found.name) ?? same[0] ?? here[0]!;
    // Other names of a registry's are images of their own; other places of the same file are not.
    const isName = found.source.place.kind === 'registry';
    const named = known.tag === null || isName;
    const wanted = found.request.tag ?? (named ? this.#freeName(found, known) : undefined);
    const before = wanted === undefined ? undefined : this.#images.byTag(wanted);
    const image =
      wanted === undefined || wanted === known.tag
        ? known
        : this.#tagged(known, wanted, isName ? found.source.text : known.source);
    const hints = [
      `It is already here as ${known.tag ?? known.uuid}; nothing was imported. To import it again: force:true.`,
    ];
    if (image.uuid !== known.uuid && image.uuid !== before?.uuid)
      hints.push(`${wanted} is an image of its own, which shares its files.`);
    if (before && before.uuid !== image.uuid) hints.push(movedHint(wanted!, before));
    return this.#present(image, true, hints);
  }

  #present(image: ImageRecord, checked: boolean, hints: readonly string[]): Result {
    return {
      operation_id: null,
      status: 'SUCCESS',
      image: image.uuid,
      digest: image.digest,
      already_present: true,
      checked,
      tag: image.tag,
      error: null,
      hints: [...hints],
    };
  }

  /** One digest under two names is two images that share layers: no name takes another's away. */
  #tagged(here: ImageRecord, tag: string, source: string | null): ImageRecord {
    const holder = this.#images.byTag(tag);
    if (holder && holder.digest === here.digest && holder.runtime === here.runtime) return holder;
    const uuid = here.tag === null && here.source === source ? here.uuid : randomUUID();
    if (uuid === here.uuid) this.#images.setTag(uuid, tag);
    else this.#images.insertTagged({ ...here, uuid, source }, tag);
    return this.#images.find(uuid)!;
  }

  #start(found: Found): string {
    const { source, runtime, request, call } = found;
    const record = this.#operations.start(
      imageOperation(
        { kind: 'import_image', title: `import ${source.text}`, image: null, input: { ...request } },
        runtime,
        call,
      ),
      call.client.id,
      job => this.#import(found, job),
    );
    return record.id;
  }

  async #import(found: Found, job: Job): Promise<Outcome> {
    const { source, runtime, request } = found;
    const uuid = randomUUID();
    const imported = await this.#bring(found, uuid, job.signal);
    const image = {
      uuid,
      runtime: runtime.name,
      data: imported.data,
      config: imported.config,
      parent: null,
      operationId: job.operation.id,
      command: null,
      exitCode: null,
      source: source.text,
      digest: imported.digest,
      size: imported.size,
    };
    const tag = request.tag ?? this.#freeName(found, { ...image, tag: null });
    const before = tag === undefined ? undefined : this.#images.byTag(tag);
    let untagged: string | null = null;
    return {
      status: 'SUCCESS',
      resultImage: uuid,
      hints: [...(imported.notes ?? []), ...(before && request.tag === undefined ? [movedHint(tag!, before)] : [])],
      commit: () => {
        this.#images.insert(image);
        if (tag !== undefined) untagged = this.#images.setTagInTransaction(uuid, tag).movedFrom;
      },
      announce: () => {
        this.#images.announce(uuid, 'added');
        if (untagged) this.#images.announce(untagged, 'changed');
      },
      discard: () => this.#discard([image]),
    };
  }

  async #bring(found: Found, uuid: string, signal: AbortSignal): Promise<ImportedImage> {
    const { runtime, call } = found;
    const progress = new ImportProgress(update => call.progress(update));
    const source: ImageSource = found.opened
      ? { kind: 'oci', image: await found.opened.image(signal, progress.download) }
      : (found.source.place as ImageSource);
    return runtime.importImage(source, { uuid, signal, progress: progress.runtime });
  }

  /**
   * Without a tag asked for, an import gets its short name, unless an image of other origin holds it. An earlier image of
   * the same reference gives it up: there it has moved too.
   */
  #freeName({ name, source }: Found, image: Pick<ImageRecord, 'source' | 'config' | 'tag'>): string | undefined {
    if (name === undefined || !isTagName(name)) return undefined;
    // Whoever named it otherwise, and asks for it by its own reference, has what he wants.
    if (image.tag !== null && image.source === source.text) return undefined;
    const holder = this.#images.byTag(name);
    const { architecture } = image.config;
    const moved = holder?.source === source.text && holder.config.architecture === architecture;
    return holder === undefined || moved ? name : undefined;
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

function runsOn({ request }: Wanted, image: ImageRecord): boolean {
  const { architecture } = request.platform === undefined ? ownPlatform() : parsePlatform(request.platform);
  return image.config.architecture === '' || image.config.architecture === architecture;
}

function movedHint(tag: string, before: ImageRecord): string {
  const digest = before.digest === null ? '' : ` (${shortDigest(before.digest)})`;
  return `${tag} has moved: until now it was image ${before.uuid}${digest}, which stays, without the tag.`;
}

function withTimeout(signal: AbortSignal, seconds: number): AbortSignal {
  return seconds === 0 ? signal : AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
}

function ofDockerAlone(): CoppiceError {
  return new CoppiceError('unsupported', '`docker-daemon:` is of the docker runtime alone: the image lies in Docker', {
    field: 'runtime',
    fix: 'Leave the runtime out; or for native save it by `docker save` and import the docker-archive:.',
  });
}
