import { CoppiceError, toWireError } from '../../protocol/errors.ts';
import type { EngineClient } from '../engineClient.ts';
import type { EngineDoor } from './engineDoor.ts';
import { FileJobs } from './fileJobs.ts';
import type { JobName, JobOutcome, JobParams, JobResult, Jobs } from './jobs.ts';
import { OutputJobs } from './outputJobs.ts';
import { remote } from './remoteJob.ts';

/** What a job works with. */
export interface Workplace {
  client(): Promise<EngineClient>;
  perform<J extends JobName>(job: J, params: JobParams<J>, signal: AbortSignal): Promise<JobResult<J>>;
}

type Performing = { readonly [J in JobName]: (params: JobParams<J>, signal: AbortSignal) => Promise<JobResult<J>> };

/** Does jobs over one connection to the engine, in the order they were asked for. */
export class Performer {
  readonly #door: EngineDoor;
  readonly #jobs: Performing;
  /** Sandboxes made here: whether that worked, and by which engine. */
  readonly #made = new Map<string, { readonly made: Promise<unknown>; readonly by: Promise<EngineClient> }>();

  constructor(door: EngineDoor) {
    this.#door = door;
    const client = () => door.client();
    const output = new OutputJobs(client);
    const files = new FileJobs(client);
    this.#jobs = {
      verb: async ({ verb, input }, signal) => (await client()).callByName(verb, input, { signal }),
      create: (params, signal) => this.#create(params, signal),
      exec: (params, signal) => output.exec(params, signal),
      output: (params, signal) => output.output(params, signal),
      logs: (params, signal) => output.logs(params, signal),
      stdin: (params, signal) => output.stdin(params, signal),
      readFile: (params, signal) => files.readFile(params, signal),
      readPiece: (params, signal) => files.readPiece(params, signal),
      writeFile: (params, signal) => files.writeFile(params, signal),
      remote: (params, signal) => remote({ client, perform: (...job) => this.#perform(...job) }, params, signal),
      leave: params => this.#leave(params),
    };
  }

  /** Never rejects. */
  async perform<J extends JobName>(job: J, params: JobParams<J>, signal: AbortSignal): Promise<JobOutcome<J>> {
    try {
      return { value: await this.#door.during(() => this.#perform(job, params, signal)) };
    } catch (error) {
      const wire = toWireError(error);
      // A stack of the engine's client says nothing to who called; what is not ours must not be lost.
      return { error: wire.code === 'internal' ? { ...wire, data: { stack: (error as Error)?.stack } } : wire };
    }
  }

  async #perform<J extends JobName>(job: J, params: JobParams<J>, signal: AbortSignal): Promise<JobResult<J>> {
    try {
      return await this.#jobs[job](params, signal);
    } catch (error) {
      throw await this.#explained(error, sandboxOf(job, params));
    }
  }

  async #create(params: Jobs['create']['params'], signal: AbortSignal): Promise<Jobs['create']['result']> {
    const by = this.#door.client();
    const made = by.then(client => client.call('create_sandbox', params, { signal }));
    this.#made.set(params.sandbox_id, { made, by });
    return made;
  }

  /** A sandbox that the engine does not know may never have come to be, or was another engine's. */
  async #explained(error: unknown, sandbox: string | undefined): Promise<unknown> {
    const record = sandbox === undefined ? undefined : this.#made.get(sandbox);
    if (!record || !(error instanceof CoppiceError)) return error;
    if (error.code !== 'sandbox_not_found' && error.code !== 'process_not_found') return error;
    try {
      await record.made;
      if ((await record.by) === (await this.#door.client())) return error;
    } catch (reason) {
      return reason;
    }
    return new CoppiceError('engine_died', `sandbox ${sandbox} ended with the engine it lived in`, {
      fix: 'Make another; see coppice engine log for why the engine ended.',
      data: { sandbox_id: sandbox },
    });
  }

  /** What does not stop now the engine stops when the connection closes. */
  async #leave({ sandboxes }: Jobs['leave']['params']): Promise<null> {
    const client = await this.#door.client();
    await Promise.allSettled(sandboxes.map(id => client.call('stop_sandbox', { sandbox_id: id })));
    return null;
  }
}

function sandboxOf<J extends JobName>(job: J, params: JobParams<J>): string | undefined {
  if (job === 'verb') return (params as JobParams<'verb'>).sandbox;
  if (job === 'exec') return (params as JobParams<'exec'>).input.sandbox_id;
  return (params as { readonly sandbox?: unknown } | null)?.sandbox as string | undefined;
}
