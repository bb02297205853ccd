import { randomUUID } from 'node:crypto';
import { CoppiceError, invalidInput, toWireError, type WireError } from '../../protocol/errors.ts';
import { isUuid } from '../../protocol/names.ts';
import type { StepResult } from '../../protocol/schemas/operations.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import { canonicalSource, parseReference, shortName } from '../../registry/reference.ts';
import type { OutsideImage } from '../../runtimes/dockerfile/buildPlan.ts';
import { reachOf, refuseReach } from '../../runtimes/dockerfile/reach.ts';
import type { BuildEnd, Runtime } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import type { Job, Operations, Outcome } from '../operations/operations.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Spools } from '../store/spools.ts';
import { type BuildSource, readBuildSource } from './buildSource.ts';
import { imageOperation } from './imageOperation.ts';
import type { HeldImage } from './imageRemoval.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from './imageStore.ts';
import type { ImportImage } from './importImage.ts';

type Request = VerbRequest<'build'>;
type Result = VerbResult<'build'>;
type Builder = Runtime & Required<Pick<Runtime, 'build'>>;

interface BuildParts {
  readonly images: ImageStore;
  readonly operations: Operations;
  readonly runtimes: Runtimes;
  readonly spools: Spools;
  readonly importImage: ImportImage;
  /** Takes images that no record names off the disk. */
  readonly discard: (images: readonly HeldImage[]) => Promise<unknown>;
}

/** Everything that is known when the operation begins. */
interface Prepared {
  readonly request: Request;
  readonly call: Call;
  readonly runtime: Builder;
  readonly source: BuildSource;
  /** Images of ours by the names that the Dockerfile has for them. */
  readonly ours: ReadonlyMap<string, ImageRecord>;
  /** What it is built on; undefined where that is none of ours. */
  readonly parent: ImageRecord | undefined;
}

/** The verb `build`: a Dockerfile becomes an image, whose parent is the image that it was built on. */
export class Build {
  readonly #parts: BuildParts;

  constructor(parts: BuildParts) {
    this.#parts = parts;
  }

  async call(request: Request, call: Call): Promise<Result> {
    const { operations } = this.#parts;
    const runtime = await this.#builder(request);
    const source = readBuildSource(request);
    const reach = request.confined === undefined ? undefined : reachOf(source.plan);
    if (reach) throw refuseReach(reach, request.confined!);
    const ours = await this.#oursOf(source.plan.outside, runtime, call);
    call.signal.throwIfAborted();
    const { base } = source.plan;
    const prepared = { request, call, runtime, source, ours, parent: base && ours.get(base.name) };
    const record = operations.start(
      imageOperation(
        { kind: 'build', title: source.title, image: prepared.parent?.uuid ?? null, input: recordedInput(request) },
        runtime,
        call,
      ),
      call.client.id,
      job => this.#build(prepared, job),
    );
    if (!request.wait) return this.#answer(record.id);
    call.progress({ message: `${record.id} ${record.status}`, operation_id: record.id });
    await operations.ended(record.id, call.signal);
    if (call.signal.aborted) await operations.cancel(record.id);
    return this.#answer(record.id);
  }

  /** Nothing is started where nothing can be built. */
  async #builder(request: Request): Promise<Builder> {
    const { runtimes } = this.#parts;
    const runtime =
      request.runtime === undefined ? await runtimes.preferred() : runtimes.of({ runtime: request.runtime });
    if (runtime.build) return runtime as Builder;
    const other = runtimes.all.find(each => each.build !== undefined);
    const probe = await other?.probe();
    const how = `build it there: runtime:"docker", at a terminal coppice build --runtime docker`;
    throw new CoppiceError(
      'unsupported',
      `the ${runtime.name} runtime cannot build Dockerfiles yet; the docker runtime can`,
      {
        field: 'runtime',
        fix:
          probe?.available === true
            ? `Docker is here, so ${how}.`
            : `Start Docker or Podman (${probe?.reason ?? 'none is known to this engine'}), then ${how}. Or take the steps as runs that are kept: run with steps.`,
      },
    );
  }

  /** What the daemon has by itself is left to it; what nobody has is imported, as if somebody had asked for it. */
  async #oursOf(outside: readonly OutsideImage[], runtime: Runtime, call: Call): Promise<Map<string, ImageRecord>> {
    const ours = new Map<string, ImageRecord>();
    for (const image of outside) {
      if (image.platform) {
        refuseUnnamed(image);
        continue;
      }
      const found = this.#known(image, runtime) ?? (await this.#brought(image, runtime, call));
      if (found) ours.set(image.name, found);
    }
    return ours;
  }

  #known({ name, line }: OutsideImage, runtime: Runtime): ImageRecord | undefined {
    const { images } = this.#parts;
    if (/^(?:tag|branch):/.test(name) || isUuid(name) || name === 'host:') {
      const image = images.resolve(name, 'dockerfile');
      if (image.runtime === runtime.name) return image;
      throw new CoppiceError(
        'unsupported',
        `line ${line}: ${name} is an image of the ${image.runtime} runtime, so nothing can be built on it here`,
        {
          field: 'dockerfile',
          fix: 'Export it (coppice export) and import the file with runtime:"docker", or name another.',
        },
      );
    }
    const reference = referenceOf(name);
    const named = [name, ...(reference ? [shortName(reference)] : [])].map(tag => images.byTag(tag));
    const sourced = reference ? images.bySource(runtime.name, canonicalSource(reference)) : [];
    return [...named, ...sourced].find(image => image?.runtime === runtime.name);
  }

  async #brought({ name, line }: OutsideImage, runtime: Runtime, call: Call): Promise<ImageRecord | undefined> {
    const { images, importImage } = this.#parts;
    refuseUnnamed({ name, line });
    const withScheme = name.includes('://');
    const id = withScheme ? undefined : await runtime.identify({ kind: 'docker-daemon', reference: name });
    if (id !== undefined) return images.byDigest(runtime.name, id)[0];
    const registry_url = withScheme ? name : `docker://${name}`;
    const request = { registry_url, runtime: runtime.name, wait: true, force: false, timeout: 0 };
    const { image, error } = await importImage.call(request, call).catch(thrown => {
      throw call.signal.aborted ? thrown : notBrought(toWireError(thrown), name, line);
    });
    if (image !== null) return images.find(image);
    call.signal.throwIfAborted();
    throw notBrought((error as WireError | null) ?? { code: 'cancelled', message: 'that was cancelled' }, name, line);
  }

  async #build(prepared: Prepared, job: Job): Promise<Outcome> {
    const { request, call, runtime, source, ours } = prepared;
    const uuid = randomUUID();
    const build = runtime.build({
      uuid,
      operation: job.operation.id,
      context: source.context,
      ignore: source.ignore,
      plan: source.plan,
      images: new Map([...ours].map(([name, image]) => [name, toRuntimeImage(image)])),
      args: request.build_args,
      noCache: request.no_cache,
      confined: request.confined,
      spool: this.#parts.spools.open(job.operation.id),
      signal: job.signal,
      progress: (message, done, total) =>
        call.progress({ message, ...(done === undefined ? {} : { done }), ...(total === undefined ? {} : { total }) }),
    });
    job.attach(build);
    return this.#outcome(prepared, uuid, job, await build.ended);
  }

  #outcome({ request, runtime, source, parent, ours }: Prepared, uuid: string, job: Job, end: BuildEnd): Outcome {
    const { images, discard } = this.#parts;
    const { result, output } = end;
    const common = { stdoutBytes: output.bytes, stdoutCapped: output.capped };
    if ('error' in result) {
      const { code, message, fix, data } = result.error;
      return {
        ...common,
        status: 'FAILED',
        exitCode: result.exitCode,
        steps: stepResults(end, null),
        error: { code, message, ...(fix === undefined ? {} : { fix }), ...(data === undefined ? {} : { data }) },
      };
    }
    const image = {
      uuid,
      runtime: runtime.name,
      data: result.data,
      config: result.config,
      parent: parent?.uuid ?? null,
      operationId: job.operation.id,
      command: source.title,
      exitCode: null,
      source: parent ? null : `build:${source.context}`,
      digest: null,
      size: result.size,
    };
    const before = request.tag === undefined ? undefined : images.byTag(request.tag);
    return {
      ...common,
      status: 'SUCCESS',
      resultImage: uuid,
      steps: stepResults(end, uuid),
      hints: [
        ...(result.notes ?? []),
        ...(before
          ? [`${request.tag} has moved: until now it was image ${before.uuid}, which stays, without the tag.`]
          : []),
      ],
      commit: () => {
        for (const used of ours.values()) images.touch(used.uuid);
        images.insert(image);
        if (request.tag !== undefined) images.setTagInTransaction(uuid, request.tag);
      },
      announce: () => {
        images.announce(uuid, 'added');
        if (before) images.announce(before.uuid, 'changed');
      },
      discard: () => discard([image]),
    };
  }

  #answer(id: string): Result {
    const { images, operations } = this.#parts;
    const record = operations.record(id);
    const image = record.resultImage === null ? undefined : images.find(record.resultImage);
    const { steps = [], error, hints } = operations.result(record, 0);
    return {
      operation_id: id,
      status: record.status,
      image: record.resultImage,
      tag: image?.tag ?? null,
      parent: record.image,
      steps,
      error,
      hints,
    };
  }
}

function notBrought({ code, message, fix }: WireError, name: string, line: number): CoppiceError {
  return new CoppiceError(code, `line ${line}: ${name} is not here and cannot be imported: ${message}`, {
    field: 'dockerfile',
    ...(fix === undefined ? {} : { fix }),
  });
}

/** Only the last step leaves an image of ours; those on the way are the daemon's. */
function stepResults({ steps, result }: BuildEnd, image: string | null): StepResult[] {
  const failed = 'error' in result;
  return steps.map(({ command, cached }, index) => {
    const last = index === steps.length - 1;
    return { command, cached, exit_code: last && failed ? result.exitCode : 0, image: last ? image : null };
  });
}

/** Values of build arguments are often secret, though they should not be. */
function recordedInput({ build_args, confined: _, ...rest }: Request): Record<string, unknown> {
  const names = Object.keys(build_args);
  return { ...rest, ...(names.length > 0 ? { build_args: names } : {}) };
}

/** Nothing but a name: what import_image also takes, as paths of this machine, is not for who wrote a Dockerfile. */
function refuseUnnamed({ name, line }: Pick<OutsideImage, 'name' | 'line'>): void {
  if (!referenceOf(name)) throw invalidInput('dockerfile', `line ${line}: ${name} is not the name of an image`);
}

/** undefined: it cannot be a name. */
function referenceOf(name: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}
