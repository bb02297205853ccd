import './smallHeap.ts';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { logPath, socketPath } from '../protocol/endpoint.ts';
import { CoppiceError } from '../protocol/errors.ts';
import { type EngineInfo, PROTOCOL_VERSION } from '../protocol/rpc.ts';
import { VERSION } from '../protocol/version.ts';
import type { Dockerode } from '../runtimes/docker/connect/connection.ts';
import { DockerRuntime } from '../runtimes/docker/dockerRuntime.ts';
import { NativeRuntime } from '../runtimes/native/nativeRuntime.ts';
import { removeHome } from './doctor/wipe.ts';
import { Engine } from './engine.ts';
import { EngineLock } from './lock.ts';
import { Log } from './log.ts';
import { Runtimes } from './runtimes.ts';
import { Server } from './server.ts';
import { readSettings } from './settings.ts';

const HOME_CHECK_MS = 3_000;

/** The engine process: one per home, started by whoever needs it, gone when nobody has needed it for a while. */
async function main(): Promise<void> {
  process.umask(0o077);
  const { values } = parseArgs({ options: { home: { type: 'string' } } });
  if (values.home === undefined) throw new Error('--home is missing');
  const home = path.resolve(values.home);
  makeHome(home);
  const lock = EngineLock.tryAcquire(home);
  // Another engine has this home: the client that started us will reach that one.
  if (!lock) process.exit(0);

  const log = new Log(logPath(home));
  process.on('uncaughtException', error => {
    log.error('uncaught', error);
    process.exit(70);
  });
  process.on('unhandledRejection', error => log.error('unhandled', error));
  try {
    await serve(home, lock, log);
  } catch (error) {
    log.error('cannot start', error);
    throw error;
  }
}

/** Node's own recursive mkdir never ends where a file system takes no folders, as /proc. */
function makeHome(folder: string): void {
  if (existsSync(folder)) return;
  const parent = path.dirname(folder);
  if (!existsSync(parent)) makeHome(parent);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another engine that starts at the same time made it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function serve(home: string, lock: EngineLock, log: Log): Promise<void> {
  const started = new Date();
  const settings = readSettings(process.env);
  const native = new NativeRuntime({
    home: path.join(home, 'native'),
    hostScript: path.join(import.meta.dirname, 'native-host.js'),
    log: line => log.info(line),
  });
  const docker = new DockerRuntime({
    home: path.join(home, 'docker'),
    host: settings.dockerHost,
    load: loadDockerode,
    log: line => log.info(line),
  });
  const engine = new Engine(
    home,
    settings,
    new Runtimes([native, docker], settings.runtime),
    log,
    path.join(import.meta.dirname, 'sync-worker.js'),
    path.join(import.meta.dirname, '..', 'media', 'guides'),
    () => {
      wiped = true;
      leave('wiped');
    },
  );
  let idle: NodeJS.Timeout | undefined;
  let leaving = false;
  let stopping = false;
  let wiped = false;

  const info = (): EngineInfo => ({
    protocol: PROTOCOL_VERSION,
    version: VERSION,
    pid: process.pid,
    home,
    started_at: started.toISOString(),
    clients: server.clients,
    running: engine.running,
    queued: engine.queued,
    sandboxes: engine.sandboxes,
    memory_bytes: process.memoryUsage.rss(),
    idle_stop_seconds: settings.idleStopSeconds,
    docker_host: settings.dockerHost ?? null,
  });
  // A call that is going on, as a download, is work too, though no operation.
  const busy = () => engine.running + engine.queued + engine.sandboxes || server.calls;
  /** What is asked from now on is refused, not begun and cut off; the answer that says so goes out first. */
  const leave = (reason: string) => {
    leaving = true;
    setTimeout(() => void shutDown(reason), 20);
  };
  const shutDown = async (reason: string) => {
    if (stopping) return;
    leaving = true;
    stopping = true;
    log.info(`stopping: ${reason}`);
    // Whatever hangs, a second later nothing is lost by going: the store is transactional and the host dies with us.
    setTimeout(() => process.exit(0), 10_000).unref();
    try {
      await server.close(lock.isInPlace());
      await engine.close();
      if (wiped) removeHome(home, lock);
      else lock.release();
    } catch (error) {
      // Whoever asked for the wiping may already have removed the home himself.
      if (!wiped || (error as NodeJS.ErrnoException).code !== 'ENOENT') log.error('while stopping', error);
    }
    process.exit(0);
  };
  const server = new Server({
    address: socketPath(home),
    events: engine.events,
    feed: engine.feed,
    log,
    info,
    dispatch: async (verb, input, call) => {
      if (leaving) throw leavingError();
      return engine.dispatch(verb, input, call);
    },
    stop: force => {
      const count = busy();
      if (force || count === 0) leave('asked to');
      return { stopping: leaving, busy: count };
    },
    onClients: () => watchIdle(),
    onGone: clientId => engine.clientGone(clientId),
  });
  const watchIdle = () => {
    clearTimeout(idle);
    idle = setTimeout(() => {
      if (server.clients === 0 && busy() === 0) void shutDown('idle');
      else watchIdle();
    }, settings.idleStopSeconds * 1000);
  };

  // Deleted under it, there is nothing left to serve, and nobody could reach it to say so.
  setInterval(() => {
    if (!lock.isInPlace()) void shutDown('its home is gone');
  }, HOME_CHECK_MS).unref();

  engine.recover();
  await server.listen();
  watchIdle();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void shutDown(signal));
  process.on('SIGHUP', () => {});
  log.info(`ready: version ${VERSION}, pid ${process.pid}, node ${process.versions.node}, home ${home}`);
}

/** A bundle of its own, which is large: only who talks to a daemon waits for it. */
async function loadDockerode(): Promise<Dockerode> {
  const bundle = pathToFileURL(path.join(import.meta.dirname, 'dockerode.js')).href;
  return ((await import(bundle)) as { readonly default: { readonly Docker: Dockerode } }).default.Docker;
}

function leavingError(): CoppiceError {
  return new CoppiceError('engine_died', 'the engine is about to stop and began nothing', {
    fix: 'Run the command again; a new engine starts by itself.',
  });
}

// Whoever started us reads it until we run, and may be gone by then.
process.stderr.on('error', () => {});
main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
  setTimeout(() => process.exit(1), 100);
});
