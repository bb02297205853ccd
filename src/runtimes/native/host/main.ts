import { mkdirSync, writeFileSync } from 'node:fs';
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
import { pauseProgram } from '../pause.ts';
import { seccompProfile, seccompProgram } from '../seccomp.ts';
import type { Architecture } from '../syscalls.ts';
import { Cgroups } from './cgroups.ts';
import { LayerStore } from './layers/layerStore.ts';
import { Mounts } from './mounts.ts';
import {
  bundlesPath,
  containersPath,
  layersPath,
  metaPath,
  pausePath,
  runsPath,
  scratchPath,
  stagingPath,
  viewsPath,
} from './paths.ts';
import { Pipes } from './pipes.ts';
import type { SandboxTools } from './sandbox.ts';
import { Sandboxes } from './sandboxes.ts';
import { Streams } from './streams.ts';

/** The namespace host: root of its own namespaces, asked by the engine over stdin and stdout, gone when stdin closes. */

async function main(): Promise<void> {
  const settings = JSON.parse(process.argv[2]!) as api.HostSettings;
  for (const folder of [bundlesPath, containersPath, viewsPath]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(pausePath, pauseProgram(process.arch), { mode: 0o755 });
  const connection = createMessageConnection(
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  connection.onClose(() => process.exit(0));
  const mounts = new Mounts();
  const pipes = new Pipes();
  await Promise.all([Streams.listen(), pipes.prepare()]);
  const log = (line: string) => void process.stderr.write(`${line}\n`);
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
  const sandboxes = new Sandboxes({
    settings,
    mounts,
    pipes,
    layers,
    cgroups: new Cgroups(settings),
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
  on(api.importHostRequest, ({ uuid }) => layers.importHost(uuid));
  answerSandboxes(on, sandboxes);
  connection.listen();
  void connection.sendNotification(api.readyNotification, {});
}

function answerSandboxes(on: ReturnType<typeof answering>, sandboxes: Sandboxes): void {
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
  on(api.changedRequest, ({ sandbox }) => sandboxes.get(sandbox).changed());
  on(api.commitRequest, ({ sandbox, uuid }) => sandboxes.get(sandbox).commit(uuid));
  on(api.stopRequest, ({ sandbox }) => done(sandboxes.get(sandbox).stop()));
  on(api.removeRequest, ({ sandbox }) => done(sandboxes.remove(sandbox)));
}

/** crun takes the ready program, runc only a list that it compiles itself. */
function filterFor(runtime: api.HostSettings['runtime']): SandboxTools['seccomp'] {
  const architecture = process.arch as Architecture;
  return runtime === 'crun'
    ? { program: seccompProgram(architecture).toString('base64') }
    : { profile: seccompProfile(architecture) };
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

async function done(work: Promise<void> | void): Promise<null> {
  await work;
  return null;
}

void main();
