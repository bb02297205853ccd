import { randomUUID } from 'node:crypto';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { Call } from '../call.ts';
import type { ImageRecord, ImageStore, NewImage } from '../images/imageStore.ts';
import type { Job, Operations, Outcome } from '../operations/operations.ts';
import type { Sandbox } from './sandbox.ts';

/** The verb `snapshot`: an operation whose result is a living sandbox's files as an image. */
export class Snapshots {
  readonly #images: ImageStore;
  readonly #operations: Operations;
  /** The last snapshot of each sandbox: the parent of its next. */
  readonly #latest = new WeakMap<Sandbox, string>();

  constructor(images: ImageStore, operations: Operations) {
    this.#images = images;
    this.#operations = operations;
  }

  async take(sandbox: Sandbox, request: VerbRequest<'snapshot'>, call: Call): Promise<VerbResult<'snapshot'>> {
    await sandbox.runtime();
    return sandbox.inTurn(async () => {
      call.signal.throwIfAborted();
      const base = await sandbox.image;
      const parent = this.#latest.get(sandbox) ?? base.uuid;
      const { id } = this.#operations.start(
        {
          kind: 'snapshot',
          title: request.title ?? `snapshot ${sandbox.id}`,
          image: parent,
          input: { ...request },
          disposable: false,
          directoryStateId: sandbox.directoryStateId,
          runtime: base.runtime,
          client: call.client.kind,
          hints: [],
        },
        call.client.id,
        job => this.#execute(sandbox, base, parent, request.tag, job),
        { queued: false },
      );
      await this.#operations.ended(id, call.signal);
      if (call.signal.aborted) await this.#operations.cancel(id);
      return this.#answer(id);
    });
  }

  async #execute(
    sandbox: Sandbox,
    base: ImageRecord,
    parent: string,
    tag: string | undefined,
    job: Job,
  ): Promise<Outcome> {
    const runtime = await sandbox.runtime();
    const uuid = randomUUID();
    const commit = await runtime.commit(uuid);
    if (!commit.changed) return this.#unchanged(sandbox, base, tag, job);
    return this.#kept(
      sandbox,
      { ...derived(base, job), uuid, data: commit.data, parent, size: commit.size ?? 0 },
      tag,
      true,
    );
  }

  /** Nothing was written: the image it runs on is the result. A tag never takes away the one that image has. */
  #unchanged(sandbox: Sandbox, base: ImageRecord, tag: string | undefined, job: Job): Outcome {
    const current = this.#images.find(base.uuid)?.tag ?? null;
    if (tag !== undefined && current !== null && current !== tag) {
      const twin = { ...derived(base, job), uuid: randomUUID(), data: base.data, parent: base.uuid, size: 0 };
      return this.#kept(sandbox, twin, tag, false);
    }
    let untagged: string | null = null;
    return {
      status: 'SUCCESS',
      resultImage: base.uuid,
      filesystemChanged: false,
      commit: () => {
        if (tag !== undefined) untagged = this.#images.setTagInTransaction(base.uuid, tag).movedFrom;
      },
      announce: () => {
        if (tag !== undefined) this.#images.announce(base.uuid, 'changed');
        if (untagged) this.#images.announce(untagged, 'changed');
      },
    };
  }

  /** Cancelled, its files stay until the engine starts anew: the living sandbox stands on layers that it shares with them. */
  #kept(sandbox: Sandbox, image: NewImage, tag: string | undefined, changed: boolean): Outcome {
    let untagged: string | null = null;
    return {
      status: 'SUCCESS',
      resultImage: image.uuid,
      filesystemChanged: changed,
      commit: () => {
        this.#images.insert(image);
        if (tag !== undefined) untagged = this.#images.setTagInTransaction(image.uuid, tag).movedFrom;
      },
      announce: () => {
        this.#latest.set(sandbox, image.uuid);
        this.#images.announce(image.uuid, 'added');
        if (untagged) this.#images.announce(untagged, 'changed');
      },
    };
  }

  #answer(id: string): VerbResult<'snapshot'> {
    const record = this.#operations.record(id);
    if (record.error) throw CoppiceError.from(record.error);
    if (record.status !== 'SUCCESS' || record.resultImage === null)
      throw new CoppiceError('cancelled', `snapshot ${id} was cancelled`, { data: { operation_id: id } });
    return { operation_id: id, image: record.resultImage, filesystem_changed: record.filesystemChanged ?? false };
  }
}

function derived(
  base: ImageRecord,
  job: Job,
): Pick<NewImage, 'runtime' | 'config' | 'operationId' | 'command' | 'exitCode' | 'source' | 'digest'> {
  return {
    runtime: base.runtime,
    config: base.config,
    operationId: job.operation.id,
    command: job.operation.title,
    exitCode: null,
    source: null,
    digest: null,
  };
}
