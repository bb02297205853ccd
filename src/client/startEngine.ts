import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { logPath, refuseForeignFolder, socketPath } from '../protocol/endpoint.ts';
import { CoppiceError } from '../protocol/errors.ts';

export interface EngineLocation {
  readonly home: string;
  /** The engine's bundle. */
  readonly script: string;
  /** false: only connect to an engine that already runs. */
  readonly start: boolean;
  /** For an engine that is started, over what this process has. */
  readonly env?: NodeJS.ProcessEnv;
}

const START_TIMEOUT_MS = 20_000;
/** After this long without a socket, an engine that seemed to be starting is taken for dead and another is started. */
const RESTART_AFTER_MS = 3_000;
/** One that found another engine there may have met the end of that one: so long, then twice as long, until the next try. */
const FOUND_ANOTHER_MS = 200;

/** A connected socket to the one engine of this home, started when there is none. Any number of clients may do this at once. */
export async function reachEngine(location: EngineLocation, signal?: AbortSignal): Promise<Socket> {
  const address = socketPath(location.home);
  const deadline = Date.now() + START_TIMEOUT_MS;
  let startAt = 0;
  let patience = FOUND_ANOTHER_MS;
  let failure: string | undefined;
  const ended = (reason: string | undefined) => {
    failure = reason;
    startAt = Math.min(startAt, Date.now() + patience);
    patience *= 2;
  };
  for (let pause = 2; ; pause = Math.min(pause * 1.5, 50)) {
    signal?.throwIfAborted();
    refuseForeignFolder(address);
    const socket = await tryConnect(address);
    if (socket) return socket;
    if (!location.start) {
      throw new CoppiceError('engine_unreachable', `no engine is running for ${location.home}`, {
        fix: 'Any coppice command starts one.',
      });
    }
    if (failure !== undefined) throw startFailure(location.home, failure);
    if (Date.now() > deadline) throw startFailure(location.home, `no answer within ${START_TIMEOUT_MS / 1000} s`);
    if (Date.now() >= startAt) {
      startAt = Date.now() + RESTART_AFTER_MS;
      launch(location, ended);
    }
    await sleep(pause);
  }
}

function tryConnect(address: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(address);
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.destroy();
      if (error.code === 'EACCES' || error.code === 'EPERM') {
        reject(
          new CoppiceError('engine_unreachable', `the engine's socket belongs to another user: ${address}`, {
            fix: 'Set COPPICE_HOME to a folder of your own.',
          }),
        );
      } else resolve(undefined);
    });
  });
}

/**
 * `ended` is told why it could not start; without a reason it found another engine there, which is no failure: that one
 * will answer, unless it is just about to go.
 */
function launch(location: EngineLocation, ended: (failure: string | undefined) => void): void {
  const child = spawn(process.execPath, [location.script, '--home', location.home], {
    detached: true,
    // Only what keeps it from starting is said there; afterwards it has its log.
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    env: engineEnvironment({ ...process.env, ...location.env }),
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-10_000);
  });
  child.once('error', error => ended(error.message));
  child.once('close', (code, signal) => {
    ended(code === 0 ? undefined : complaint.trim() || `it ended with ${signal ?? code}`);
  });
  child.unref();
  (child.stderr as unknown as Socket).unref();
}

/** The engine outlives the editor that started it, so it must not carry the editor's own variables. */
export function engineEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const clean: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('VSCODE_') && !name.startsWith('ELECTRON_') && name !== 'NODE_OPTIONS') clean[name] = value;
  }
  if (process.versions.electron) clean.ELECTRON_RUN_AS_NODE = '1';
  return clean;
}

function startFailure(home: string, reason: string): CoppiceError {
  return new CoppiceError('engine_unreachable', `the engine could not be started: ${reason}`, {
    fix: existsSync(logPath(home)) ? `See ${logPath(home)}.` : 'Set COPPICE_HOME to a folder of your own.',
    data: { home },
  });
}
