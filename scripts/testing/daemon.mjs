import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inRoot, projectNode } from '../paths.mjs';

/** A Docker daemon or Podman's service for one pass of tests: what they have to know of it, and its end. */
export async function startDaemon(runtime, temporary) {
  const daemon = spawn(projectNode, [inRoot('test/harness/daemonProcess.ts'), runtime], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: temporary },
  });
  const ended = once(daemon, 'close');
  const line = await Promise.race([once(createInterface({ input: daemon.stdout }), 'line'), ended]);
  if (typeof line[0] !== 'string') throw new Error(`${runtime} could not be started`);
  const { socket, folder } = JSON.parse(line[0]);
  return {
    env: {
      COPPICE_TEST_RUNTIME: runtime,
      COPPICE_TEST_DAEMON_FOLDER: folder,
      COPPICE_RUNTIME: 'docker',
      COPPICE_DOCKER_HOST: `unix://${socket}`,
    },
    async stop() {
      daemon.stdin.end();
      await ended;
    },
  };
}
