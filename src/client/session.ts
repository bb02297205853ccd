/// <reference lib="esnext.disposable" preserve="true" />
import { randomBytes } from 'node:crypto';
import type { SandboxView } from '../protocol/schemas/sandboxes.ts';
import type { VerbName, VerbResult } from '../protocol/verbs.ts';
import { invalid, type SandboxError, SessionCloseError, sandboxError } from './errors.ts';
import type { Link } from './link.ts';
import { OperationRef, type Settled } from './operationRef.ts';
import { RemoteFunction, type RemoteFunctionOptions } from './remoteFunction.ts';
import type { ListOptions, Sandbox } from './sandbox.ts';
import { mergedOptions, runArguments, type SandboxOptions } from './sandboxOptions.ts';

interface SessionInput {
  readonly sandbox_id?: string;
  readonly steal?: boolean;
  readonly tags?: readonly string[];
}

/** Defaults for the session's sandboxes. */
export type SessionOptions = Omit<SandboxOptions, 'command' | 'detached'>;

export interface AdoptOptions {
  /** Also what another open session owns. */
  readonly steal?: boolean;
}

/** Sandboxes that share their options and end together: when it is closed, and with this program. */
export class Session<S extends Sandbox = Sandbox> {
  readonly id = `se-${randomBytes(8).toString('hex')}`;
  readonly tags: readonly string[];
  readonly #options: SessionOptions;
  readonly #Sandbox: typeof Sandbox;
  readonly #link: Link;
  #closing: OperationRef<void> | undefined;

  constructor(options: SessionOptions = {}) {
    this.#Sandbox = (new.target as typeof Session).sandboxes();
    this.#link = this.#Sandbox.link();
    this.#options = options;
    this.tags = options.tags ?? [];
    this.#ask('session', 'open_session', { tags: [...this.tags] }, () => undefined);
  }

  /** @internal Which class its sandboxes are of. */
  static sandboxes(): typeof Sandbox {
    throw new Error('import Session from coppice, coppice/async or coppice/compat');
  }

  /** As `Sandbox.run`, with the session's options and tags. */
  sandbox(...words: (string | SandboxOptions)[]): S {
    return this.#Sandbox.begin(mergedOptions(this.#options, runArguments(words)), this.id) as S;
  }

  /** A function that runs in sandboxes of this session, whose image needs Node. */
  function<A extends unknown[], R>(fn: (...args: A) => R, options: RemoteFunctionOptions = {}): RemoteFunction<A, R> {
    const { timeoutMs, ...own } = options;
    const merged = { ...mergedOptions(this.#options, own), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return new RemoteFunction(this.#link, this.id, fn, merged);
  }

  /** Sandboxes with the session's tags, of whatever program; `adopt` makes them the session's own. */
  list({
    adopt = false,
    steal = false,
    tags = [],
    ...options
  }: ListOptions & AdoptOptions & { readonly adopt?: boolean } = {}): OperationRef<S[]> {
    const all = [...new Set([...this.tags, ...tags])];
    if (adopt && all.length === 0) {
      throw invalid('adopt', 'needs a tag, or every sandbox of this engine would be adopted', 'Give the session tags.');
    }
    const found = this.#Sandbox.list({ ...options, tags: all }) as OperationRef<unknown> as OperationRef<S[]>;
    return adopt ? this.#then('list', found, sandboxes => sandboxes.map(each => this.#adopt(each, steal))) : found;
  }

  /** One that lives already; unless told otherwise it becomes the session's own. */
  fromId(
    id: string,
    { adopt = true, steal = false }: AdoptOptions & { readonly adopt?: boolean } = {},
  ): OperationRef<S> {
    if (!adopt) return this.#Sandbox.fromId(id) as OperationRef<unknown> as OperationRef<S>;
    return this.#ask('fromId', 'adopt_sandbox', { sandbox_id: id, steal }, view => this.#adopted(view as SandboxView));
  }

  /** From now on it ends with this session. */
  adopt(sandbox: Sandbox | string, { steal = false }: AdoptOptions = {}): OperationRef<S> {
    return this.fromId(typeof sandbox === 'string' ? sandbox : sandbox.id, { steal });
  }

  /** From now on nothing ends it but a stop, its own end, or its lifetime. */
  release(sandbox: Sandbox | string): OperationRef<void> {
    const id = typeof sandbox === 'string' ? sandbox : sandbox.id;
    return this.#ask('release', 'release_sandbox', { sandbox_id: id }, () => this.#link.owns(id, false));
  }

  /** Stops all its sandboxes at once; those that do not stop are all named in one `SessionCloseError`. */
  close(): OperationRef<void> {
    this.#closing ??= this.#ask('close', 'close_session', {}, result => {
      const { stopped, failures } = result as VerbResult<'close_session'>;
      for (const id of stopped) this.#link.owns(id, false);
      if (failures.length === 0) return;
      const errors = failures.map(({ sandbox_id, code, message }) =>
        sandboxError({ code: code as SandboxError['code'], message }, sandbox_id),
      );
      throw new SessionCloseError(
        `${errors.length} sandboxes of ${this.id} did not stop: ${errors[0]!.message}`,
        errors,
      );
    });
    return this.#closing;
  }

  /** Never throws: a failure is a warning. */
  [Symbol.dispose](): void {
    const closing = this.close();
    if (!this.#link.blocking) {
      closing.then(undefined, error => this.#warn(error));
      return;
    }
    try {
      closing.get();
    } catch (error) {
      this.#warn(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.close();
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    process.emitWarning(`session ${this.id} was not closed: ${(error as Error).message}`, 'CoppiceWarning');
  }

  #adopt(sandbox: S, steal: boolean): OperationRef<S> {
    return this.#ask('adopt', 'adopt_sandbox', { sandbox_id: sandbox.id, steal }, view =>
      this.#adopted(view as SandboxView),
    );
  }

  #adopted(view: SandboxView): S {
    if (view.session === this.id) this.#link.owns(view.sandbox_id, true);
    return this.#Sandbox.of(view) as S;
  }

  /** What comes after what: all of it, or the first failure. */
  #then<A, B>(what: string, first: OperationRef<A>, next: (value: A) => readonly OperationRef<B>[]): OperationRef<B[]> {
    return new OperationRef<B[]>({
      link: this.#link,
      what,
      begin: settle => {
        first.whenSettled(outcome => ('error' in outcome ? settle(outcome) : all(next(outcome.value), settle)));
        return { cancel: () => void first.cancel(), hold: () => first.hold() };
      },
    });
  }

  #ask<T>(what: string, verb: VerbName, input: SessionInput, map: (result: unknown) => T): OperationRef<T> {
    const about = { link: this.#link, what, sandboxId: input.sandbox_id };
    const params = { verb, input: { session_id: this.id, ...input }, sandbox: input.sandbox_id };
    return OperationRef.job(about, 'verb', params, map);
  }
}

function all<T>(refs: readonly OperationRef<T>[], settle: (outcome: Settled<T[]>) => void): void {
  const values = new Array<T>(refs.length);
  let left = refs.length;
  if (left === 0) settle({ value: [] });
  for (const [n, ref] of refs.entries()) {
    ref.whenSettled(outcome => {
      if ('error' in outcome) return settle(outcome);
      values[n] = outcome.value;
      left--;
      if (left === 0) settle({ value: values });
    });
  }
}
