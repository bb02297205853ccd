import { readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DiffEntry } from '../../protocol/schemas/files.ts';
import type {
  ImageFiles,
  ImageSource,
  ImportedImage,
  ImportOptions,
  Probe,
  Runtime,
  RuntimeImage,
  RuntimeSandbox,
  SandboxSpec,
} from '../runtime.ts';
import * as api from './hostApi.ts';
import { HostConnection } from './hostConnection.ts';
import { startHost } from './namespace.ts';
import { NativeProcess, NativeSandbox, startProcess } from './nativeSandbox.ts';

export interface NativeRuntimeOptions {
  /** COPPICE_HOME/native. */
  readonly home: string;
  /** The bundled namespace host. */
  readonly hostScript: string;
  readonly log: (line: string) => void;
}

/** Sandboxes by stock `unshare`, overlayfs and `crun`; no daemon, no root, no Docker. */
export class NativeRuntime implements Runtime {
  readonly name = 'native';
  readonly #options: NativeRuntimeOptions;
  readonly #inbox: string;
  #connecting: Promise<HostConnection> | undefined;
  #closed = false;

  constructor(options: NativeRuntimeOptions) {
    this.#options = options;
    this.#inbox = path.join(options.home, 'inbox');
  }

  async probe(): Promise<Probe> {
    throw new Error('soon');
  }

  async importImage(source: ImageSource, options: ImportOptions): Promise<ImportedImage> {
    const host = await this.#host();
    using _progress = host.onProgress(options.uuid, options.progress);
    if (source.kind === 'host') return host.ask(api.importHostRequest, { uuid: options.uuid }, options.signal);
    throw new Error('soon');
  }

  async identify(_source: ImageSource): Promise<string | undefined> {
    return undefined;
  }

  async removeImage(image: RuntimeImage, others: readonly RuntimeImage[]): Promise<number> {
    return (await this.#host()).ask(api.removeImageRequest, { image, others });
  }

  files(_image: RuntimeImage): ImageFiles {
    throw new Error('soon');
  }

  async diff(
    parent: RuntimeImage,
    child: RuntimeImage,
    options: { readonly path: string; readonly signal?: AbortSignal },
  ): Promise<readonly DiffEntry[]> {
    return (await this.#host()).ask(api.diffRequest, { parent, child, path: options.path }, options.signal);
  }

  async create(spec: SandboxSpec): Promise<RuntimeSandbox> {
    if (spec.state) throw new CoppiceError('unsupported', 'the native runtime cannot lay directory states yet');
    const host = await this.#host();
    const main = new NativeProcess(host, { sandbox: spec.id, process: api.mainProcess });
    const files = await this.#handOver(spec.files);
    await main.starting(this.#inbox, spec.main?.spool, () =>
      host.ask(api.createRequest, {
        id: spec.id,
        image: spec.image,
        main: spec.main ? startProcess(spec.main) : null,
        hostname: spec.hostname,
        limits: { cpus: spec.limits.cpus ?? null, memory: spec.limits.memory ?? null, pids: spec.limits.pids ?? null },
        network: spec.network,
        resolvConf: spec.network === 'host' ? readResolvConf() : '',
        files,
      }),
    );
    return new NativeSandbox(host, this.#inbox, spec.id, main);
  }

  /** Nothing survives its host. */
  async adopt(_id: string): Promise<RuntimeSandbox | 'gone'> {
    return 'gone';
  }

  async reap(known: {
    readonly images: readonly RuntimeImage[];
    readonly sandboxes: readonly string[];
  }): Promise<void> {
    await (await this.#host()).ask(api.reapRequest, known);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const host = await this.#connecting?.catch(() => undefined);
    await host?.close();
  }

  /** Started when first needed, and once more when it died. */
  async #host(): Promise<HostConnection> {
    if (this.#closed) throw new CoppiceError('runtime_unavailable', 'the native runtime is closed');
    const current = await this.#connecting?.catch(() => undefined);
    if (current?.alive) return current;
    if (this.#closed) throw new CoppiceError('runtime_unavailable', 'the native runtime is closed');
    this.#connecting = this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<HostConnection> {
    const { home, hostScript, log } = this.#options;
    const settings: api.HostSettings = {
      ids: 'range',
      runtime: 'crun',
      cgroups: null,
      cgroupsReason: 'not looked at yet',
      nat: null,
      home,
    };
    const host = new HostConnection(await startHost({ home, hostScript, settings, cgroupFolders: {} }), log);
    await host.ready;
    return host;
  }

  /** Copies, never links: the blobs are the store's. */
  async #handOver(files: SandboxSpec['files']): Promise<{ path: string; inbox: string }[]> {
    return Promise.all(
      files.map(async file => {
        const inbox = `f${crypto.randomUUID()}`;
        await copyFile(file.blob, path.join(this.#inbox, inbox));
        return { path: file.path, inbox };
      }),
    );
  }
}

/** Where the machine looks names up; a run with the machine's network does the same. */
function readResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return '';
  }
}
