import { chownSync, linkSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessExit, ProcessSpec, RuntimeProcess, RuntimeSandbox, SandboxFiles } from '../runtime.ts';
import * as api from './hostApi.ts';
import type { ExitMessage, HostConnection, ProcessListener } from './hostConnection.ts';
import { firstId, isRealRoot } from './namespace.ts';

/** The engine's end of a sandbox in the namespace host. */
export class NativeSandbox implements RuntimeSandbox {
  readonly id: string;
  readonly main: RuntimeProcess;
  readonly notes: readonly string[];
  readonly files: SandboxFiles;
  readonly #host: HostConnection;
  readonly #inbox: string;

  constructor(host: HostConnection, inbox: string, id: string, main: RuntimeProcess, notes: readonly string[]) {
    this.id = id;
    this.main = main;
    this.notes = notes;
    this.#host = host;
    this.#inbox = inbox;
    this.files = nativeFiles(host, id);
  }

  async exec(id: string, spec: ProcessSpec): Promise<RuntimeProcess> {
    const process = new NativeProcess(this.#host, { sandbox: this.id, process: id });
    await process.starting(this.#inbox, spec.spool, () =>
      this.#host.ask(api.execRequest, { sandbox: this.id, process: id, start: startProcess(spec) }),
    );
    return process;
  }

  async readFile(file: string, offset: number, length: number): Promise<{ bytes: Buffer; size: number }> {
    const params = { sandbox: this.id, path: file, offset, length };
    const { base64, size } = await this.#host.ask(api.readFileRequest, params);
    return { bytes: Buffer.from(base64, 'base64'), size };
  }

  async writeFile(
    file: string,
    bytes: Buffer,
    options: { readonly mode: number | undefined; readonly append: boolean },
  ): Promise<void> {
    const { mode = null, append } = options;
    const base64 = bytes.toString('base64');
    await this.#host.ask(api.writeFileRequest, { sandbox: this.id, path: file, base64, mode, append });
  }

  changed(): Promise<boolean> {
    return this.#host.ask(api.changedRequest, { sandbox: this.id });
  }

  commit(uuid: string): Promise<{ changed: false } | { changed: true; data: unknown; size: number | null }> {
    return this.#host.ask(api.commitRequest, { sandbox: this.id, uuid });
  }

  async stop(): Promise<void> {
    await this.#unlessGone(() => this.#host.ask(api.stopRequest, { sandbox: this.id }));
  }

  async remove(): Promise<void> {
    await this.#unlessGone(() => this.#host.ask(api.removeRequest, { sandbox: this.id }));
  }

  /** When the host is gone, so is everything that was in it. */
  async #unlessGone(ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof CoppiceError && (error.code === 'interrupted' || error.code === 'sandbox_not_found'))) {
        throw error;
      }
    }
  }
}

function nativeFiles(host: HostConnection, sandbox: string): SandboxFiles {
  const ask = (request: api.SandboxFileRequest) => host.ask(api.filesRequest, { sandbox, request });
  return {
    list: path => ask({ kind: 'list', path }),
    stat: async path => (await ask({ kind: 'stat', path }))[0]!,
    makeFolder: async (path, mode) => void (await ask({ kind: 'makeFolder', path, mode })),
    remove: async (path, recursive) => void (await ask({ kind: 'remove', path, recursive })),
    rename: async (path, to) => void (await ask({ kind: 'rename', path, to })),
  };
}

/** The engine's end of a process. */
export class NativeProcess implements RuntimeProcess, ProcessListener {
  readonly id: string;
  readonly exited: Promise<ProcessExit>;
  readonly #host: HostConnection;
  readonly #name: api.ProcessName;
  readonly #lengths: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  readonly #listeners: ((stream: StreamName, length: number) => void)[] = [];
  readonly #resolve: (exit: ProcessExit) => void;
  readonly #reject: (error: Error) => void;

  constructor(host: HostConnection, name: api.ProcessName) {
    const { promise, resolve, reject } = Promise.withResolvers<ProcessExit>();
    this.id = name.process;
    this.exited = promise;
    // Whoever asks is told; a process nobody waits for must not end the engine.
    promise.catch(() => undefined);
    this.#host = host;
    this.#name = name;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Hands over the spools and asks the host; listens first, so that a quick end is not missed. */
  async starting(inbox: string, spool: ProcessSpec['spool'] | undefined, ask: () => Promise<unknown>): Promise<void> {
    const links = spool ? linkSpools(inbox, this.#name, spool) : [];
    this.#host.listen(this.#name, this);
    try {
      await ask();
    } catch (error) {
      this.#host.unlisten(this.#name);
      for (const link of links) rmSync(link, { force: true });
      throw error;
    }
  }

  onOutput(listener: (stream: StreamName, length: number) => void): void {
    this.#listeners.push(listener);
  }

  async writeStdin(bytes: Buffer): Promise<void> {
    await this.#host.ask(api.stdinRequest, { ...this.#name, base64: bytes.toString('base64') });
  }

  async closeStdin(): Promise<void> {
    await this.#host.ask(api.closeStdinRequest, this.#name);
  }

  async kill(signal: string): Promise<void> {
    await this.#host.ask(api.killRequest, { ...this.#name, signal });
  }

  async resize(cols: number, rows: number): Promise<void> {
    await this.#host.ask(api.resizeRequest, { ...this.#name, cols, rows });
  }

  output(stdout: number, stderr: number): void {
    this.#grown('stdout', stdout);
    this.#grown('stderr', stderr);
  }

  exit(message: ExitMessage): void {
    if ('error' in message) {
      this.#reject(CoppiceError.from(message.error));
      return;
    }
    this.output(message.exit.output.stdout.bytes, message.exit.output.stderr.bytes);
    this.#resolve(message.exit);
  }

  lost(error: CoppiceError): void {
    this.#reject(error);
  }

  #grown(stream: StreamName, length: number): void {
    if (length === this.#lengths[stream]) return;
    this.#lengths[stream] = length;
    for (const listener of this.#listeners) listener(stream, length);
  }
}

export function startProcess(spec: ProcessSpec): api.StartProcess {
  return {
    args: spec.args,
    env: spec.env,
    cwd: spec.cwd,
    user: spec.user ?? null,
    stdin:
      spec.stdin.kind === 'bytes'
        ? { kind: 'bytes', base64: spec.stdin.bytes.toString('base64') }
        : { kind: spec.stdin.kind },
    tty: spec.tty ?? null,
    cap: spec.spool.cap,
  };
}

/**
 * The host cannot reach the engine's folders, so it finds the spools as second links in the inbox, its own to write. They
 * are given away where they are still ours alone: in the inbox a name could be made to stand for something else.
 */
function linkSpools(inbox: string, name: api.ProcessName, spool: ProcessSpec['spool']): string[] {
  return (['stdout', 'stderr'] as const).map(stream => {
    const link = path.join(inbox, api.spoolName(name, stream));
    if (isRealRoot) chownSync(spool[stream], firstId, firstId);
    linkSync(spool[stream], link);
    return link;
  });
}
