import { readdirSync } from 'node:fs';
import { commandOf, descendants, type RunningProcess, rootOf } from './processes.ts';

/**
 * What the contract suite runs on. The runner starts the daemon and tells the engines of it by COPPICE_RUNTIME and
 * COPPICE_DOCKER_HOST; here is only what tests have to know.
 */
export const testRuntime = (process.env.COPPICE_TEST_RUNTIME ?? 'native') as 'native' | 'docker' | 'podman';

/** Capabilities that not every runtime has, each with why not. */
const missing: Readonly<Record<string, string>> =
  testRuntime === 'native'
    ? {}
    : {
        'host:': 'host: is of the native runtime alone',
        'own layers': 'Docker and Podman unpack layers themselves',
        'native host': 'there is no namespace host on the docker runtime',
        'processes below the engine': 'containers are below the daemon, not below the engine',
        'ends with its engine': 'what runs in Docker goes on without its engine',
        'own disk': 'the images lie on the disk of the daemon',
        'small containers': 'there is no launcher of ours to kill',
      };

/** For a test's `skip`: false where the runtime has the capability, else why it has not. */
export const without = (capability: string): string | false => missing[capability] ?? false;

/** Everything that runs in sandboxes of an engine: on native below its process, in Docker in the daemon's containers. */
export function sandboxProcesses(engine: number): readonly RunningProcess[] {
  if (testRuntime === 'native') return descendants(engine);
  const folder = process.env.COPPICE_TEST_DAEMON_FOLDER;
  if (folder === undefined)
    throw new Error('COPPICE_TEST_DAEMON_FOLDER does not say where the daemon keeps its things');
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => rootOf(pid).includes(`${folder}/`))
    .map(pid => ({ pid, command: commandOf(pid) }));
}

/** Before an engine starts: what other engines still have in the daemon's containers, which is not that engine's. */
export function othersProcesses(): ReadonlySet<number> {
  return new Set(testRuntime === 'native' ? [] : sandboxProcesses(0).map(({ pid }) => pid));
}
