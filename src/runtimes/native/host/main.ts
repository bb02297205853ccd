import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import path from 'node:path';
import {
  type CancellationToken,
  createMessageConnection,
  type MessageConnection,
  type RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { toWireError } from '../../../protocol/errors.ts';
import { COPPICE_ERROR } from '../../../protocol/rpc.ts';
import * as api from '../hostApi.ts';
import { boundingBits } from '../ociSpec.ts';
import { pauseProgram } from '../pause.ts';
import { seccompProfile, seccompProgram } from '../seccomp.ts';
import type { Architecture } from '../syscalls.ts';
import { Cgroups } from './cgroups.ts';
import { makeLauncher } from './launcher.ts';
import { Exports } from './layers/exports.ts';
import { Imports, type ReceiveOptions } from './layers/imports.ts';
import { LayerStore } from './layers/layerStore.ts';
import { Unpackers } from './layers/unpackers.ts';
import { Mounts } from './mounts.ts';
import { Networks } from './network.ts';
import {
  bundlesPath,
  containersPath,
  inboxPath,
  layersPath,
  metaPath,
  pausePath,
  runsPath,
  scratchPath,
  stagingPath,
  streamsPath,
  viewsPath,
} from './paths.ts';
import { Pipes } from './pipes.ts';
import { Roots } from './roots.ts';
import type { SandboxTools } from './sandbox.ts';
import { Sandboxes } from './sandboxes.ts';
import type { Confinement } from './servant.ts';
import { Streams } from './streams.ts';
import { Views } from './views/views.ts';

const maxProcesses = 16_384;

/** The namespace host: root of its own namespaces, asked by the engine over stdin and stdout, gone when stdin closes. */

async function main(): Promise<void> {
  // The engine's own umask is strict; what is made here is seen by every user of an image.
  process.umask(0o022);
  const settings = JSON.parse(process.argv[2]!) as api.HostSettings;
  for (const folder of [bundlesPath, containersPath, viewsPath]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(pausePath, pauseProgram(process.arch), { mode: 0o755 });
  const connection = createMessageConnection(
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  connection.onClose(() => process.exit(0));
  if (!settings.cgroups?.controllers.includes('pids')) boundProcesses();
  const mounts = new Mounts();
  const pipes = new Pipes();
  const [streams] = await Promise.all([Streams.listen(), pipes.prepare()]);
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  dropInbox(log);
  const layers = new LayerStore({
    layers: layersPath,
    meta: metaPath,
    runs: runsPath,
    staging: stagingPath,
    scratch: scratchPath,
    overlays: mounts,
    home: settings.home,
    log,
  });
  const unpackers = new Unpackers(path.join(path.dirname(process.argv[1]!), 'native-unpack.js'));
  const imports = new Imports({ store: layers, unpackers, overlays: mounts, scratch: scratchPath });
  const views = new Views({ folder: viewsPath, overlays: mounts, layers, log });
  const roots = new Roots(mounts, layers, log);
  const sandboxes = new Sandboxes({
    settings,
    roots,
    mounts,
    pipes,
    launcher: makeLauncher(log, confinementFor(settings.runtime)),
    layers,
    views,
    cgroups: new Cgroups(settings),
    networks: new Networks(settings, log),
    seccomp: filterFor(settings.runtime),
    onOutput: (name, stdout, stderr) => {
      void connection.sendNotification(api.outputNotification, { ...name, stdout, stderr });
    },
    onExit: (name, end) => {
      const message = end instanceof Error ? { ...name, error: toWireError(end) } : { ...name, exit: end };
      void connection.sendNotification(api.exitNotification, message);
    },
    log,
  });
  const on = answering(connection);
  on(api.selfTestRequest, async () => {
    await sandboxes.selfTest();
    return { pidMax: mayLimitPids(), hostRefused: await sandboxes.hostRefused() };
  });
  on(api.measureRequest, ({ image }) => layers.measure(image));
  on(api.removeImageRequest, async ({ image, others }) => {
    await roots.dropSpares();
    return layers.removeImage(image, others);
  });
  on(api.reapRequest, ({ images, sandboxes: known }) =>
    done(layers.reap(images, [...known, ...sandboxes.ids, ...roots.names])),
  );
  on(api.wipeRequest, async () => {
    await sandboxes.wipe();
    await Promise.all([layersPath, metaPath, runsPath, stagingPath, inboxPath].map(emptyFolder));
    return null;
  });
  on(api.importHostRequest, () => layers.importHost());
  answerImports(connection, on, imports, streams);
  answerExports(on, new Exports({ store: layers, overlays: mounts, scratch: scratchPath }), streams);
  answerFiles(on, views, streams);
  answerSandboxes(on, sandboxes);
  connection.listen();
  void connection.sendNotification(api.readyNotification, {});
}

type Answering = ReturnType<typeof answering>;

function answerImports(connection: MessageConnection, on: Answering, imports: Imports, streams: Streams): void {
  const receive = async <T>(uuid: string, stream: string, signal: AbortSignal, use: Receive<T>): Promise<T> => {
    const source = await streams.accept(stream, signal);
    const progress = (message: string, done?: number, ofTotal?: number) => {
      const counts = { ...(done === undefined ? {} : { done }), ...(ofTotal === undefined ? {} : { total: ofTotal }) };
      void connection.sendNotification(api.progressNotification, { uuid, message, ...counts });
    };
    try {
      return await use(source, { signal, progress: atMostEvery(100, progress) });
    } finally {
      source.destroy();
    }
  };
  on(api.importRootfsRequest, ({ uuid, stream, total }, signal) =>
    receive(uuid, stream, signal, (source, options) =>
      imports.importRootfs(uuid, source, { ...options, total: total ?? undefined }),
    ),
  );
  on(api.claimLayersRequest, ({ uuid, diffIds }) => imports.claim(uuid, diffIds));
  on(api.importLayerRequest, ({ uuid, diffIds, stream, total }, signal) =>
    // The engine counts: it knows of all layers.
    receive(uuid, stream, signal, (source, { signal }) =>
      done(imports.importLayer(uuid, diffIds, source, { signal, progress: () => {}, total })),
    ),
  );
  on(api.finishOciRequest, ({ uuid, diffIds }, signal) => imports.finish(uuid, diffIds, signal));
  on(api.abandonOciRequest, ({ uuid }) => done(imports.abandon(uuid)));
}

function answerExports(on: Answering, exports: Exports, streams: Streams): void {
  const send = async (stream: string, signal: AbortSignal, use: (output: Socket) => Promise<void>): Promise<null> => {
    const output = await streams.accept(stream, signal);
    try {
      await use(output);
    } finally {
      output.destroy();
    }
    return null;
  };
  on(api.exportableRequest, ({ image }) => exports.layers(image));
  on(api.exportLayerRequest, ({ image, layer, stream }, signal) =>
    send(stream, signal, output => exports.layer(image, layer, output, signal)),
  );
  on(api.exportTreeRequest, ({ image, stream }, signal) =>
    send(stream, signal, output => exports.tree(image, output, signal)),
  );
}

type Receive<T> = (source: Socket, options: Pick<ReceiveOptions, 'signal' | 'progress'>) => Promise<T>;

function answerFiles(on: Answering, views: Views, streams: Streams): void {
  on(api.diffRequest, ({ parent, child, path }, signal) => views.diff(parent, child, path, signal));
  on(api.statRequest, ({ image, path }) => views.files(image).stat(path));
  on(api.listRequest, ({ image, path }) => views.files(image).list(path));
  on(api.readRequest, async ({ image, path, offset, length }) =>
    inBase64(await views.files(image).read(path, offset, length)),
  );
  on(api.globRequest, ({ image, pattern }, signal) => views.files(image).glob(pattern, signal));
  on(api.grepRequest, ({ image, glob, ...options }, signal) =>
    views.files(image).grep({ ...options, glob: glob ?? undefined, signal }),
  );
  on(api.archiveRequest, async ({ image, path, stream }, signal) => {
    const output = await streams.accept(stream, signal);
    try {
      await views.files(image).archive(path, output, signal);
    } finally {
      output.end();
    }
    return null;
  });
}

function answerSandboxes(on: Answering, sandboxes: Sandboxes): void {
  on(api.adoptStateRequest, adopted => done(sandboxes.adoptState(adopted)));
  on(api.createRequest, spec => sandboxes.create(spec));
  on(api.execRequest, ({ sandbox, process, start }) => done(sandboxes.get(sandbox).exec(process, start)));
  on(api.stdinRequest, ({ sandbox, process, base64 }) =>
    done(sandboxes.get(sandbox).process(process).writeStdin(Buffer.from(base64, 'base64'))),
  );
  on(api.closeStdinRequest, ({ sandbox, process }) => done(sandboxes.get(sandbox).process(process).closeStdin()));
  on(api.killRequest, ({ sandbox, process, signal }) =>
    done(
      sandboxes
        .get(sandbox)
        .process(process)
        .kill(signal as NodeJS.Signals),
    ),
  );
  on(api.resizeRequest, ({ sandbox, process, cols, rows }) =>
    done(sandboxes.get(sandbox).process(process).resize(cols, rows)),
  );
  on(api.readFileRequest, async ({ sandbox, path, offset, length }) =>
    inBase64(await sandboxes.get(sandbox).readFile(path, offset, length)),
  );
  on(api.writeFileRequest, ({ sandbox, path, base64, mode, append }) =>
    done(sandboxes.get(sandbox).writeFile(path, Buffer.from(base64, 'base64'), { mode, append })),
  );
  on(api.filesRequest, ({ sandbox, request }) => sandboxes.get(sandbox).files(request));
  on(api.changedRequest, ({ sandbox }) => sandboxes.get(sandbox).changed());
  on(api.commitRequest, ({ sandbox, uuid }) => sandboxes.get(sandbox).commit(uuid));
  on(api.stopRequest, ({ sandbox }) => done(sandboxes.get(sandbox).stop()));
  on(api.removeRequest, ({ sandbox }) => done(sandboxes.remove(sandbox)));
}

/** What was on its way to a host that died; spools' second names keep their bytes on the disk. The layer store deletes it. */
function dropInbox(log: (line: string) => void): void {
  for (const name of readdirSync(inboxPath).filter(name => name !== path.basename(streamsPath))) {
    try {
      renameSync(path.join(inboxPath, name), path.join(stagingPath, `inbox-${name}`));
    } catch (error) {
      log(`${name} stays in the inbox: ${(error as Error).message}`);
    }
  }
}

async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(path.join(folder, name), { recursive: true, force: true });
}

/** Where no cgroup counts a sandbox's processes, at least all of them together cannot take the machine down. */
function boundProcesses(): void {
  const file = '/proc/sys/kernel/pid_max';
  if (mayLimitPids()) writeFileSync(file, String(Math.min(maxProcesses, Number(readFileSync(file, 'utf8')))));
}

/** A kernel that has a limit of processes per pid namespace lets its root set it. */
function mayLimitPids(): boolean {
  const file = '/proc/sys/kernel/pid_max';
  try {
    writeFileSync(file, readFileSync(file));
    return true;
  } catch {
    return false;
  }
}

/** crun takes the ready program, runc only a list that it compiles itself. */
function filterFor(runtime: api.HostSettings['runtime']): SandboxTools['seccomp'] {
  const architecture = process.arch as Architecture;
  return runtime === 'crun'
    ? { program: seccompProgram(architecture).toString('base64') }
    : { profile: seccompProfile(architecture) };
}

/** As crun confines them; runc compiles a filter of its own, and of one sandbox all processes have the same. */
function confinementFor(runtime: api.HostSettings['runtime']): Confinement | undefined {
  if (runtime !== 'crun') return undefined;
  return { seccomp: seccompProgram(process.arch as Architecture), bounding: boundingBits };
}

type Handler<P, R> = (params: P, signal: AbortSignal) => R | Promise<R>;

/** Requests with their typed answers; errors cross as `WireError`s. */
function answering(connection: MessageConnection) {
  return <P, R>(type: RequestType<P, R, unknown>, handler: Handler<P, R>): void => {
    connection.onRequest<unknown, unknown>(type.method, async (params: P, token: CancellationToken) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      try {
        return await handler(params, abort.signal);
      } catch (error) {
        const wire = toWireError(error);
        return new ResponseError(COPPICE_ERROR, wire.message, wire);
      }
    });
  };
}

function inBase64(read: { readonly bytes: Buffer; readonly size: number }): { base64: string; size: number } {
  return { base64: read.bytes.toString('base64'), size: read.size };
}

/** The first call, then one per interval; the last of a burst may be left out. */
function atMostEvery(interval: number, progress: (message: string, done?: number, total?: number) => void) {
  let next = 0;
  return (message: string, done?: number, total?: number) => {
    if (done !== undefined && done !== total && Date.now() < next) return;
    next = Date.now() + interval;
    progress(message, done, total);
  };
}

async function done(work: Promise<void> | void): Promise<null> {
  await work;
  return null;
}

void main();
