import { randomBytes } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { Script } from 'node:vm';
import { invalid, RemoteFunctionError } from './errors.ts';
import { ownBytes } from './jobs/bytes.ts';
import type { Link } from './link.ts';
import { OperationRef } from './operationRef.ts';
import { createInput, type SandboxOptions } from './sandboxOptions.ts';

export interface RemoteFunctionOptions extends SandboxOptions {
  /** Then the call fails. Default: none. */
  readonly timeoutMs?: number;
}

/**
 * A function that runs in a sandbox of its own for each call, on the Node of the image. It is sent as text, so it may use
 * its arguments, Node's globals and `require`, nothing of the program around it. Arguments and value are cloned as
 * `structuredClone` does.
 */
export class RemoteFunction<A extends unknown[], R> {
  readonly #link: Link;
  readonly #sessionId: string;
  readonly #function: (...args: A) => R;
  readonly #source: string;
  readonly #options: RemoteFunctionOptions;

  /** @internal Made by `session.function`. */
  constructor(link: Link, sessionId: string, fn: (...args: A) => R, options: RemoteFunctionOptions) {
    this.#link = link;
    this.#sessionId = sessionId;
    this.#function = fn;
    this.#source = sourceOf(fn);
    this.#options = options;
  }

  remote(...args: A): OperationRef<Awaited<R>> {
    const { timeoutMs = 0, ...options } = this.#options;
    const sandbox = { ...createInput(`sb-${randomBytes(8).toString('hex')}`, options), session_id: this.#sessionId };
    const about = { link: this.#link, what: this.#function.name || 'function', sandboxId: sandbox.sandbox_id };
    return OperationRef.job(
      about,
      'remote',
      { sandbox, source: this.#source, args: packed(this.#source, args), timeoutMs },
      result => unpacked(result, sandbox.sandbox_id) as Awaited<R>,
    );
  }

  /** One call for each item, all at once. */
  map(items: Iterable<A[0]>): OperationRef<Awaited<R>>[] {
    return Array.from(items, item => this.remote(...([item] as unknown as A)));
  }

  /** Here, without any sandbox. */
  local(...args: A): R {
    return this.#function(...args);
  }
}

/** Text that evaluates to the function; a method's own text does so only as a member of an object. */
function sourceOf(fn: unknown): string {
  if (typeof fn !== 'function') throw invalid('fn', 'is not a function');
  const text = Function.prototype.toString.call(fn);
  for (const source of [text, `({${text}})[${JSON.stringify(fn.name)}]`]) if (compiles(source)) return source;
  throw invalid('fn', 'has no text to send: it is built in or bound', 'Wrap it: (...args) => it(...args).');
}

function compiles(source: string): boolean {
  try {
    new Script(`(${source})`);
    return !source.includes('[native code]');
  } catch {
    return false;
  }
}

function packed(source: string, args: readonly unknown[]): Uint8Array {
  try {
    return ownBytes(serialize({ source, args }));
  } catch (error) {
    throw invalid('args', `cannot be cloned: ${(error as Error).message}`);
  }
}

function unpacked(bytes: Uint8Array, sandboxId: string): unknown {
  const outcome = deserialize(bytes) as { value?: unknown; error?: { name: string; message: string; stack: string } };
  if (!outcome.error) return outcome.value;
  throw new RemoteFunctionError(outcome.error.message, outcome.error, sandboxId);
}
