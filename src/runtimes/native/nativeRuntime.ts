import { randomUUID } from 'node:crypto';
import { chown, copyFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DiffEntry } from '../../protocol/schemas/files.ts';
import type {
  ExportedLayer,
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
import {
  type CgroupDelegation,
  delegateCgroups,
  rememberedCgroups,
  removeCgroups,
  removeDeadCgroups,
} from './cgroupDelegation.ts';
import * as api from './hostApi.ts';
import { HostConnection } from './hostConnection.ts';
import { hostFingerprint, machineFolders } from './hostFingerprint.ts';
import { receiveFromHost, sendToHost } from './hostStream.ts';
import { hostSettings, lookAtMachine, readText } from './machine.ts';
import { firstId, isRealRoot, layingFolder, makeStore, startHost } from './namespace.ts';
import { NativeFiles } from './nativeFiles.ts';
import { NativeProcess, NativeSandbox, startProcess } from './nativeSandbox.ts';
import { OciImports } from './ociImport.ts';
import { OciLayerTar } from './ociLayerTar.ts';
import { capabilitiesOf, explain, missingTool, natReason, noCapabilities } from './probe.ts';
import { identifyRootfs, openRootfs } from './rootfsSource.ts';
import { stateLayerId } from './stateLayer.ts';
import { StateLaying } from './stateLaying.ts';

type Learned = Parameters<typeof capabilitiesOf>[2];

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
  #cgroups: CgroupDelegation | undefined;
  #lastHost: HostConnection | undefined;
  readonly #states: StateLaying;
  readonly #ociImports: OciImports;
  /** What is said of a run that asked for the network `nat` where there is none. */
  #noNat: string | undefined;
  #learned: { readonly host: HostConnection; readonly answer: Learned } | undefined;
  #closed = false;

  constructor(options: NativeRuntimeOptions) {
    this.#options = options;
    this.#inbox = path.join(options.home, 'inbox');
    this.#states = new StateLaying(options.home);
    this.#ociImports = new OciImports(options.home);
  }

  /** Tries it from end to end: a sandbox of nothing but our own program. */
  async probe(): Promise<Probe> {
    const machine = lookAtMachine();
    const missing = missingTool(machine);
    if (missing) return { available: false, ...missing, capabilities: noCapabilities };
    try {
      const host = await this.#host();
      const learned = await this.#learn(host);
      return { available: true, capabilities: capabilitiesOf(machine, this.#settings(this.#cgroups), learned) };
    } catch (error) {
      const complaint = error instanceof Error ? error.message : String(error);
      return { available: false, ...explain(complaint), capabilities: noCapabilities };
    }
  }

  /** Once per host: nothing that it tells changes while that lives. */
  async #learn(host: HostConnection): Promise<Learned> {
    if (this.#learned?.host !== host) this.#learned = { host, answer: await host.ask(api.selfTestRequest, {}) };
    return this.#learned.answer;
  }

  async importImage(source: ImageSource, options: ImportOptions): Promise<ImportedImage> {
    const host = await this.#host();
    using _progress = host.onProgress(options.uuid, options.progress);
    if (source.kind === 'host') {
      const imported = await host.ask(api.importHostRequest, {}, options.signal);
      // As `identify` sees it: inside, mounts below the machine's folders have other inodes.
      return { ...imported, digest: hostFingerprint(machineFolders(this.#options.home)) };
    }
    if (source.kind === 'oci') return this.#ociImports.import(host, source.image, options);
    if (source.kind === 'docker-daemon') throw notNative(source.reference);
    const { uuid, signal } = options;
    const rootfs = await openRootfs(source.path, signal);
    return sendToHost(this.#options.home, rootfs, signal, (stream, aborted) =>
      host.ask(api.importRootfsRequest, { uuid, stream, total: rootfs.total }, aborted),
    );
  }

  async identify(source: ImageSource): Promise<string | undefined> {
    if (source.kind === 'host') return hostFingerprint(machineFolders(this.#options.home));
    if (source.kind === 'docker-daemon') throw notNative(source.reference);
    return source.kind === 'oci' ? source.image.digest : identifyRootfs(source.path);
  }

  async measure(image: RuntimeImage): Promise<number> {
    return (await this.#host()).ask(api.measureRequest, { image });
  }

  async removeImage(image: RuntimeImage, others: readonly RuntimeImage[]): Promise<number> {
    return (await this.#host()).ask(api.removeImageRequest, { image, others });
  }

  async exportLayers(image: RuntimeImage, lineage: readonly RuntimeImage[]): Promise<readonly ExportedLayer[]> {
    const host = await this.#host();
    const layers = await host.ask(api.exportableRequest, { image });
    const makers = lineage.map(({ data }) => new Set((data as { readonly layers?: readonly string[] }).layers));
    return layers.map(({ id, top }) => ({
      madeBy: Math.max(
        0,
        makers.findIndex(layers => layers.has(top)),
      ),
      open: async signal => {
        const raw = await receiveFromHost(this.#options.home, stream =>
          host.ask(api.exportLayerRequest, { image, layer: id, stream }, signal),
        );
        const tar = new OciLayerTar();
        tar.once('close', () => raw.destroy());
        return raw.once('error', error => tar.destroy(error)).pipe(tar);
      },
    }));
  }

  async exportTree(image: RuntimeImage, signal: AbortSignal): Promise<Readable> {
    const host = await this.#host();
    await host.ask(api.exportableRequest, { image });
    return receiveFromHost(this.#options.home, stream => host.ask(api.exportTreeRequest, { image, stream }, signal));
  }

  files(image: RuntimeImage): ImageFiles {
    return new NativeFiles(this.#options.home, image, () => this.#host());
  }

  async diff(
    parent: RuntimeImage,
    child: RuntimeImage,
    options: { readonly path: string; readonly signal?: AbortSignal },
  ): Promise<readonly DiffEntry[]> {
    return (await this.#host()).ask(api.diffRequest, { parent, child, path: options.path }, options.signal);
  }

  async create(spec: SandboxSpec): Promise<RuntimeSandbox> {
    const host = await this.#host();
    const main = new NativeProcess(host, { sandbox: spec.id, process: api.mainProcess });
    const files = await this.#handOver(spec.files);
    const request: api.CreateSandbox = {
      id: spec.id,
      image: spec.image,
      main: spec.main ? startProcess(spec.main) : null,
      hostname: spec.hostname,
      limits: { cpus: spec.limits.cpus ?? null, memory: spec.limits.memory ?? null, pids: spec.limits.pids ?? null },
      network: spec.network,
      // Where the machine looks names up; a run with the machine's network does the same.
      resolvConf: spec.network === 'host' ? readText('/etc/resolv.conf') : '',
      files,
      state: spec.state
        ? {
            id: spec.state.id,
            destination: spec.state.destination,
            layer: stateLayerId(spec.state.id),
            hides: spec.state.hides,
            touches: spec.state.touches,
          }
        : null,
    };
    await main.starting(this.#inbox, spec.main?.spool, () =>
      this.#states.withLaid(host, spec.state, () => host.ask(api.createRequest, request)),
    );
    const notes = spec.network === 'nat' && this.#noNat !== undefined ? [this.#noNat] : [];
    return new NativeSandbox(host, this.#inbox, spec.id, main, notes);
  }

  async reap(known: {
    readonly images: readonly RuntimeImage[];
    readonly sandboxes: readonly string[];
  }): Promise<readonly string[]> {
    await (await this.#host()).ask(api.reapRequest, known);
    return [];
  }

  async wipe(): Promise<void> {
    // Layers belong to ids that only the namespace's root may delete.
    await (await this.#host()).ask(api.wipeRequest, {});
    await this.close();
    await rm(this.#options.home, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const host = await this.#connecting?.catch(() => undefined);
    await host?.close();
  }

  /** Started when first needed, and again after it died: what ran in it is lost, what is asked next is not. */
  #host(): Promise<HostConnection> {
    if (this.#closed) return Promise.reject(closedError());
    if (!this.#connecting || this.#lastHost?.alive === false) {
      this.#lastHost = undefined;
      this.#connecting = this.#connect();
      this.#connecting.catch(() => {
        this.#connecting = undefined;
      });
    }
    return this.#connecting;
  }

  async #connect(): Promise<HostConnection> {
    const { home, hostScript, log } = this.#options;
    makeStore(home);
    const left = rememberedCgroups(home);
    const cgroups = delegateCgroups(home);
    this.#cgroups = cgroups;
    const settings = this.#settings(cgroups);
    this.#noNat =
      settings.nat === null
        ? `It ran without a network, nat is not to be had: ${natReason(lookAtMachine())}.`
        : undefined;
    const host = new HostConnection(await startHost({ home, hostScript, settings, cgroups }), log);
    this.#lastHost = host;
    void host.gone.then(() => removeCgroups(cgroups));
    await host.ready;
    // Nobody waits for that; and what this engine made a moment ago is not dead.
    removeDeadCgroups(left).catch((error: Error) => log(`cgroups of engines that are gone stay: ${error.message}`));
    return host;
  }

  #settings(cgroups: CgroupDelegation | undefined): api.HostSettings {
    return {
      ...hostSettings(lookAtMachine(), this.#options.home),
      cgroups: cgroups?.settings ?? null,
      cgroupsReason: cgroups?.reason ?? '',
    };
  }

  /** Copies, never links: the blobs are the store's. */
  async #handOver(files: SandboxSpec['files']): Promise<{ path: string; inbox: string }[]> {
    return Promise.all(
      files.map(async file => {
        const inbox = `f${randomUUID()}`;
        const copy = path.join(this.#options.home, layingFolder, inbox);
        await copyFile(file.blob, copy);
        if (isRealRoot) await chown(copy, firstId, firstId);
        await rename(copy, path.join(this.#inbox, inbox));
        return { path: file.path, inbox };
      }),
    );
  }
}

function notNative(image: string): CoppiceError {
  return new CoppiceError('unsupported', `${image} lies in Docker, where the native runtime does not reach`, {
    fix: 'Use the runtime docker for it.',
  });
}

function closedError(): CoppiceError {
  return new CoppiceError('runtime_unavailable', 'the native runtime is closed');
}
