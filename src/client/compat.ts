import * as coppice from './coppice.ts';
import type { Sandbox as BaseSandbox } from './sandbox.ts';

/**
 * The seed's spelling over the same objects: `Sandbox.from_id`, `sandbox.read_file`, …, and `wait`, `wait_until_complete` and
 * `get_status` block, as they do there.
 */

export * from './coppice.ts';

type ListOptions = Omit<coppice.ListOptions, 'showTerminated'> & { readonly show_terminated?: boolean };

export class Sandbox extends coppice.Sandbox {
  static from_id(id: string): coppice.OperationRef<Sandbox> {
    return Sandbox.fromId(id);
  }

  static override list<S extends typeof BaseSandbox>(
    this: S,
    { show_terminated, ...options }: coppice.ListOptions & ListOptions = {},
  ): coppice.OperationRef<InstanceType<S>[]> {
    const all = show_terminated === undefined ? options : { ...options, showTerminated: show_terminated };
    return super.list(all) as coppice.OperationRef<InstanceType<S>[]>;
  }

  static override delete(
    id: string,
    { missing_ok, ...options }: { readonly missing_ok?: boolean; readonly missingOk?: boolean } = {},
  ): coppice.OperationRef<void> {
    return super.delete(id, missing_ok === undefined ? options : { missingOk: missing_ok });
  }

  read_file(path: string): coppice.OperationRef<Uint8Array> {
    return this.readFile(path);
  }

  write_file(path: string, data: coppice.DataSource): coppice.OperationRef<void> {
    return this.writeFile(path, data);
  }

  /** Blocks until it runs. */
  override wait(): coppice.OperationRef<void> {
    const running = super.wait();
    running.get();
    return running;
  }

  /** Blocks until it is over: its command's exit code. */
  wait_until_complete(options?: { readonly timeout?: number }): number | null {
    return this.waitUntilComplete().get(options?.timeout === undefined ? {} : { timeoutMs: options.timeout * 1000 });
  }

  /** Blocks for the status as it is now. */
  get_status(): coppice.SandboxStatus {
    return this.getStatus().get();
  }

  stream_logs(options?: coppice.LogOptions): coppice.LogReader {
    return this.streamLogs(options);
  }
}

export class Session extends coppice.Session {
  /** @internal */
  static override sandboxes(): typeof Sandbox {
    return Sandbox;
  }

  from_id(id: string, options?: coppice.AdoptOptions & { readonly adopt?: boolean }): coppice.OperationRef<Sandbox> {
    return this.fromId(id, options) as coppice.OperationRef<Sandbox>;
  }
}
