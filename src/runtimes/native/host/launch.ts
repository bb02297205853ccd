import { existsSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import type { HostSettings, ProcessName, StartProcess } from '../hostApi.ts';
import type { Command } from './launcher.ts';
import { containersPath, sealedPath } from './paths.ts';

/** How one process of a sandbox is started by the OCI runtime. */
export interface Launch {
  readonly name: ProcessName;
  readonly runtime: HostSettings['runtime'];
  readonly verb: 'run' | 'exec';
  /** The bundle's folder, or exec's process.json. */
  readonly source: string;
  /** Where the runtime writes the pid and its own complaints, never mixed with the process's output. */
  readonly pidFile: string;
  readonly logFile: string;
  readonly start: StartProcess;
  /** Folder for this process's own files, as its input. */
  readonly folder: string;
  /** Files of cgroups that it writes 0 to before anything of the sandbox runs. */
  readonly entrances: readonly string[];
}

/** Static scripts: everything variable is an argument or in the environment. */
const onTerminal = {
  run: 'stty rows "$ROWS" cols "$COLS"; exec "$RUNTIME" --root "$STATE" $OPTIONS --log="$LOG" run $RUN_OPTIONS --pid-file="$PID" --bundle "$SOURCE" "$ID"',
  exec: 'stty rows "$ROWS" cols "$COLS"; exec "$RUNTIME" --root "$STATE" $OPTIONS --log="$LOG" exec --pid-file="$PID" -p "$SOURCE" "$ID"',
};

export function commandLine(launch: Launch): Command {
  const plain = launch.start.tty ? terminalCommand(launch, launch.start.tty) : runtimeCommand(launch);
  return { ...plain, entrances: launch.entrances };
}

function runtimeCommand(launch: Launch): Omit<Command, 'entrances'> {
  const { name, runtime, verb, source, pidFile, logFile } = launch;
  const args = [
    '--root',
    containersPath,
    ...options(runtime),
    `--log=${logFile}`,
    verb,
    ...(verb === 'run' ? runOptions(runtime) : []),
    `--pid-file=${pidFile}`,
    verb === 'run' ? '--bundle' : '-p',
    source,
    name.sandbox,
  ];
  const { program, env } = programOf(runtime);
  return { command: program, args, env };
}

/** A terminal comes from script(1): the OCI runtime wants one, and Node cannot make one. */
function terminalCommand(
  launch: Launch,
  size: { readonly cols: number; readonly rows: number },
): Omit<Command, 'entrances'> {
  const { name, runtime, verb, source, pidFile, logFile } = launch;
  const { program, env } = programOf(runtime);
  return {
    command: 'script',
    args: ['-qefc', onTerminal[verb], '/dev/null'],
    env: {
      ...env,
      SHELL: '/bin/sh',
      ROWS: String(size.rows),
      COLS: String(size.cols),
      RUNTIME: program,
      STATE: containersPath,
      OPTIONS: options(runtime).join(' '),
      RUN_OPTIONS: runOptions(runtime).join(' '),
      LOG: logFile,
      PID: pidFile,
      SOURCE: source,
      ID: name.sandbox,
    },
  };
}

/**
 * Lest a container write to its program by /proc, the runtime starts itself a second time from a copy, which is half of its
 * start. Where it lies on a read-only mount and this variable is set it sees that there is no need.
 */
function programOf(runtime: HostSettings['runtime']): { readonly program: string; readonly env: NodeJS.ProcessEnv } {
  const { PATH } = process.env;
  const sealed = path.join(sealedPath, runtime);
  if (!existsSync(sealed)) return { program: runtime, env: { PATH } };
  return { program: sealed, env: { PATH, _LIBCONTAINER_CLONED_BINARY: '1' } };
}

/** Cgroups are ours to make, before the runtime starts. */
function options(runtime: HostSettings['runtime']): string[] {
  return [runtime === 'crun' ? '--cgroup-manager=disabled' : '--rootless=true', '--log-format=json'];
}

/** A session keyring per sandbox would eat the user's quota; the filter keeps them from the machine's. */
function runOptions(_runtime: HostSettings['runtime']): string[] {
  return ['--no-new-keyring'];
}

/** The terminal a process has, as a path that opens just that; crun 1.8 passes no size on, so it is set there. */
export function terminalOf(pid: number): string | undefined {
  for (const fd of [0, 1, 2]) {
    const link = `/proc/${pid}/fd/${fd}`;
    try {
      if (/^\/dev\/(pts\/\d+|console)$/.test(readlinkSync(link))) return link;
    } catch {
      // It has closed that one, or is just over.
    }
  }
  return undefined;
}
