import { CoppiceError, invalidInput, toWireError } from '../../protocol/errors.ts';
import { runInput, type StepResult } from '../../protocol/schemas/operations.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ProcessExit, ProcessSpec, RuntimeSandbox, SandboxSpec } from '../../runtimes/runtime.ts';
import type { BranchStore } from '../branches/branchStore.ts';
import type { Call } from '../call.ts';
import type { FileStore } from '../files/fileStore.ts';
import type { HeldImage } from '../images/imageRemoval.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from '../images/imageStore.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Spools } from '../store/spools.ts';
import type { StateLayers } from '../sync/stateLayers.ts';
import { chainHint, outcomeHints } from './hints.ts';
import { memoryBytes } from './memorySize.ts';
import type { OperationRecord } from './operationStore.ts';
import type { Job, Operations, Outcome } from './operations.ts';
import { type OneRun, runOnce } from './runOnce.ts';
import type { StartImage, StartImages } from './startImage.ts';

type Request = VerbRequest<'run'>;

interface Command {
  /** As people wrote it, for records and lineage. */
  readonly title: string;
  readonly args: readonly string[];
}

/** What is laid over the image before the command sees it. */
type Laid = Pick<SandboxSpec, 'files' | 'limits' | 'state'>;

/** What one step left behind: the image that the next one starts from. */
interface KeptImage {
  readonly record: Parameters<ImageStore['insert']>[0];
  readonly measured: boolean;
}

interface RunParts {
  readonly images: ImageStore;
  readonly branches: BranchStore;
  readonly files: FileStore;
  readonly stateLayers: StateLayers;
  readonly spools: Spools;
  readonly operations: Operations;
  readonly startImages: StartImages;
  readonly runtimes: Runtimes;
  /** Counts an image's bytes when nobody waits. */
  readonly measureLater: (image: HeldImage) => void;
  /** Takes images that no record names off the disk. */
  readonly discard: (images: readonly HeldImage[]) => Promise<unknown>;
}

/** The verb `run`: one operation, one sandbox a command, one image a kept change. */
export class Run {
  readonly #parts: RunParts;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  async call(request: Request, call: Call): Promise<VerbResult<'run'>> {
    const { operations } = this.#parts;
    const commands = commandsOf(request);
    const start = await this.#parts.startImages.find(request.image, request.workspace, call.signal);
    const files = this.#parts.files.laidOver(request.files);
    const state = this.#parts.stateLayers.find(request.directory_state_id)?.(start.image);
    const limits = limitsOf(request);
    call.signal.throwIfAborted();

    const kept = request.steps !== undefined || !request.disposable;
    const hint = chainHint(request);
    const record = operations.start(
      {
        kind: 'run',
        title: commands.map(command => command.title).join(' ; '),
        image: start.image.uuid,
        input: recordedInput(request, start.branch),
        disposable: !kept,
        directoryStateId: request.directory_state_id ?? null,
        group: request.group?.id ?? null,
        labels: request.labels,
        runtime: start.image.runtime,
        client: call.client.kind,
        hints: hint === undefined ? [] : [hint],
      },
      call.client.id,
      job => this.#execute(request, commands, start, { files, limits, state }, kept, job),
      { queued: true, group: request.group && { id: request.group.id, limit: request.group.concurrency } },
    );
    if (!request.wait) return { operation_id: record.id, status: record.status, hints: [...record.hints] };
    call.progress({ message: `${record.id} ${record.status}`, operation_id: record.id });
    await operations.ended(record.id, call.signal);
    if (call.signal.aborted) await operations.cancel(record.id);
    return operations.result(operations.record(record.id), request.truncate_output_at);
  }

  /** The same once more: same image, same directory state, same group. What was never recorded cannot be given again. */
  async again(id: string, call: Call): Promise<VerbResult<'run_again'>> {
    const { kind, image, input } = this.#parts.operations.record(id);
    const missing = ['secrets', 'stdin_bytes'].find(name => name in input);
    if (kind !== 'run' || missing !== undefined) {
      const why = missing
        ? `its ${missing === 'secrets' ? 'secrets were' : 'standard input was'} not kept`
        : 'it is no run';
      throw new CoppiceError('unsupported', `operation ${id} cannot be run again: ${why}`, { fix: 'Start a new run.' });
    }
    const { tag: _, workspace: __, moves_branch: ___, ...asked } = input;
    // By its UUID, not by the branch it was asked for: that may have moved, and a retry must not move it further.
    const request = runInput.parse({ ...asked, image: image ?? undefined, wait: false });
    const { operation_id, status, hints } = await this.call(request, call);
    return { operation_id, status, hints };
  }

  /**
   * After an engine's restart: what still runs is followed to its end, as if nothing had happened. Answers the sandbox that
   * it runs in; undefined: it cannot be taken up again. Of steps the rest would need what was never recorded.
   */
  resume(record: OperationRecord): string | undefined {
    const { runtimes, images, operations } = this.#parts;
    const image = record.image === null ? undefined : images.find(record.image);
    const runtime = runtimes.of(record);
    if (record.kind !== 'run' || record.status !== 'EXECUTING' || !runtime.adopt || !image) return undefined;
    const { secrets: _, stdin_bytes: __, moves_branch: branch, ...asked } = record.input;
    const request = runInput.parse(asked);
    const [command, ...more] = commandsOf(request);
    if (!command || more.length > 0) return undefined;
    const start = { image, branch: branch as string | undefined };
    const adopt = () =>
      runtime.adopt!({ id: record.id, image: toRuntimeImage(image), spool: this.#parts.spools.open(record.id) });
    const laid = { files: [], limits: limitsOf(request), state: undefined };
    operations.resume(record, job => this.#execute(request, [command], start, laid, !record.disposable, job, adopt));
    return record.id;
  }

  async #execute(
    request: Request,
    commands: readonly Command[],
    start: StartImage,
    laid: Laid,
    kept: boolean,
    job: Job,
    adopt?: () => Promise<RuntimeSandbox>,
  ): Promise<Outcome> {
    const deadline = deadlineOf(request, job);
    const images: KeptImage[] = [];
    const steps: StepResult[] = [];
    let from: Pick<ImageRecord, 'uuid' | 'data'> = start.image;
    let last: OneRun | undefined;
    let changed = false;
    try {
      for (const [index, command] of commands.entries()) {
        const spec = () =>
          this.#sandboxSpec(
            request,
            command,
            start.image,
            from,
            laid,
            `${job.operation.id}${commands.length > 1 ? `-${index}` : ''}`,
            job.operation.id,
          );
        const open = adopt ?? (() => this.#parts.runtimes.of(start.image).create(spec()));
        last = await runOnce(open, job, { keep: kept, deadline });
        changed ||= last.changed;
        if (last.kept) {
          images.push({
            record: keptRecord(start.image, from.uuid, job.operation.id, command, last),
            measured: last.kept.size !== null,
          });
          from = last.kept;
        }
        steps.push({ command: command.title, exit_code: last.exit.exitCode, image: from.uuid });
        if (!succeeded(last)) break;
      }
    } catch (error) {
      if (job.signal.aborted) return { status: 'FAILED', discard: () => this.#discard(images) };
      // What earlier steps kept stays: their images are true whatever became of this one.
      return this.#outcome(request, start, images, {
        status: 'FAILED',
        error: toWireError(error),
        steps: request.steps ? steps : null,
        resultImage: from.uuid,
        filesystemChanged: changed,
      });
    }
    const exit = last!.exit;
    return this.#outcome(request, start, images, {
      status: succeeded(last!) ? 'SUCCESS' : 'FAILED',
      ...exitFields(exit),
      timedOut: last!.timedOut,
      filesystemChanged: changed,
      resultImage: from.uuid,
      steps: request.steps ? steps : null,
      hints: outcomeHints({
        request,
        exit,
        changed,
        kept,
        timedOut: last!.timedOut,
        notes: last!.notes,
        drifted: this.#parts.images.view(start.image).drifted,
      }),
    });
  }

  #sandboxSpec(
    request: Request,
    command: Command,
    base: ImageRecord,
    from: Pick<ImageRecord, 'uuid' | 'data'>,
    laid: Laid,
    id: string,
    spool: string,
  ): SandboxSpec {
    const main: ProcessSpec = {
      args: command.args,
      env: { ...base.config.env, ...request.env, ...request.secrets },
      cwd: request.cwd ?? (base.config.cwd || '/'),
      user: request.user ?? (base.config.user || undefined),
      stdin: request.stdin === undefined ? { kind: 'none' } : { kind: 'bytes', bytes: Buffer.from(request.stdin) },
      tty: undefined,
      spool: this.#parts.spools.open(spool),
    };
    return {
      id,
      image: { uuid: from.uuid, data: from.data },
      main,
      hostname: 'coppice',
      network: request.network,
      limits: laid.limits,
      // What an earlier step kept holds state and files already, and what that step did to them must stay on top.
      ...(from.uuid === base.uuid ? { files: laid.files, state: laid.state } : { files: [], state: undefined }),
    };
  }

  /** A failure moves no tag, as it moves no branch; nor does a run without changes take its image's tag away. */
  #toTag(
    tag: string,
    from: ImageRecord,
    head: KeptImage['record'] | undefined,
    end: Outcome,
  ): { readonly image: string } | { readonly hint: string } {
    if (end.status !== 'SUCCESS') return taggedNothing(tag, 'the run failed. Its image can be tagged by set_tag.');
    if (head) return { image: head.uuid };
    const current = this.#parts.images.find(from.uuid)?.tag ?? null;
    if (current === null || current === tag) return { image: from.uuid };
    return taggedNothing(tag, `nothing changed, and the image it started from is tagged ${current}.`);
  }

  /** Everything the run made becomes visible in one transaction with its end: images, tag, branch. */
  #outcome(request: Request, start: StartImage, kept: readonly KeptImage[], end: Outcome): Outcome {
    const { images, branches } = this.#parts;
    const head = kept.at(-1)?.record;
    const moves =
      start.branch !== undefined && end.status === 'SUCCESS' && head !== undefined && branches.exists(start.branch);
    const tagged = request.tag === undefined ? undefined : this.#toTag(request.tag, start.image, head, end);
    let untagged: string | null = null;
    let left: string | undefined;
    return {
      ...end,
      hints: [...(end.hints ?? []), ...(tagged && 'hint' in tagged ? [tagged.hint] : [])],
      commit: () => {
        images.touch(start.image.uuid);
        for (const image of kept) images.insert(image.record);
        if (tagged && 'image' in tagged) untagged = images.setTagInTransaction(tagged.image, request.tag!).movedFrom;
        if (!moves) return;
        left = branches.head(start.branch!);
        branches.moveInTransaction(start.branch!, head!.uuid, head!.operationId);
      },
      announce: () => {
        for (const image of kept) {
          images.announce(image.record.uuid, 'added');
          if (!image.measured) this.#parts.measureLater(image.record);
        }
        if (tagged && 'image' in tagged && !head) images.announce(tagged.image, 'changed');
        if (untagged) images.announce(untagged, 'changed');
        if (left) images.announce(left, 'changed');
        if (moves) branches.announce(start.branch!);
      },
      discard: () => this.#discard(kept),
    };
  }

  #discard(kept: readonly KeptImage[]): Promise<unknown> {
    return this.#parts.discard(kept.map(({ record }) => record));
  }
}

function taggedNothing(tag: string, why: string): { readonly hint: string } {
  return { hint: `The tag ${tag} was not set: ${why}` };
}

/** Counted from the start, whichever engine saw that. */
function deadlineOf(request: Request, job: Job): AbortSignal {
  if (request.timeout === 0) return new AbortController().signal;
  const since = Date.now() - (job.operation.startedAt ?? Date.now());
  return AbortSignal.timeout(Math.max(0, request.timeout * 1000 - since));
}

const succeeded = (run: OneRun): boolean => run.exit.exitCode === 0 && !run.timedOut && !run.exit.oom;

function commandsOf(request: Request): Command[] {
  if (request.steps) return request.steps.map(step => ({ title: step, args: ['/bin/sh', '-c', step] }));
  const command = request.command!;
  const title = [command, ...request.args.map(quoted)].join(' ');
  if (!request.shell) return [{ title, args: [command, ...request.args] }];
  // The arguments reach the command as they are: the shell sees them only as "$@".
  const line = request.args.length > 0 ? `${command} "$@"` : command;
  return [{ title, args: ['/bin/sh', '-c', line, 'sh', ...request.args] }];
}

export const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;

export function limitsOf(request: Pick<Request, 'limits'>): SandboxSpec['limits'] {
  const { cpus, memory, pids } = request.limits ?? {};
  const bytes = memory === undefined ? undefined : memoryBytes(memory);
  if (bytes !== undefined && bytes < 4 * 1_048_576) throw invalidInput('limits.memory', 'must be at least 4 MiB');
  if (bytes !== undefined && !Number.isSafeInteger(bytes)) throw invalidInput('limits.memory', 'is more than can be');
  return { cpus, memory: bytes, pids };
}

/** Secrets are named, never kept; standard input and uploaded files may be large or private: their size is enough. */
function recordedInput(request: Request, branch: string | undefined): Record<string, unknown> {
  const { secrets, stdin, ...rest } = request;
  return {
    ...rest,
    ...(Object.keys(secrets).length > 0 ? { secrets: Object.keys(secrets) } : {}),
    ...(branch === undefined ? {} : { moves_branch: branch }),
    ...(stdin === undefined ? {} : { stdin_bytes: Buffer.byteLength(stdin) }),
  };
}

function keptRecord(
  base: ImageRecord,
  parent: string,
  operationId: string,
  command: Command,
  run: OneRun,
): KeptImage['record'] {
  return {
    uuid: run.kept!.uuid,
    runtime: base.runtime,
    data: run.kept!.data,
    config: base.config,
    parent,
    operationId,
    command: command.title,
    exitCode: run.exit.exitCode,
    source: null,
    digest: null,
    size: run.kept!.size ?? 0,
  };
}

function exitFields(
  exit: ProcessExit,
): Pick<
  Outcome,
  'exitCode' | 'signal' | 'cpuMs' | 'maxRss' | 'stdoutBytes' | 'stderrBytes' | 'stdoutCapped' | 'stderrCapped'
> {
  return {
    exitCode: exit.exitCode,
    signal: exit.signal ?? null,
    cpuMs: exit.resources.cpuMs,
    maxRss: exit.resources.maxRss,
    stdoutBytes: exit.output.stdout.bytes,
    stderrBytes: exit.output.stderr.bytes,
    stdoutCapped: exit.output.stdout.capped,
    stderrCapped: exit.output.stderr.capped,
  };
}
