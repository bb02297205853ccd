import { DockerDaemon } from './docker.ts';
import { PodmanService } from './podman.ts';

// node daemonProcess.ts docker|podman: a daemon of one's own until the input ends; says where it is in one line.

const which = process.argv[2] === 'podman' ? PodmanService : DockerDaemon;
const missing = which.missing();
if (missing !== undefined) throw new Error(missing);
const daemon = await which.start();
process.stdout.write(`${JSON.stringify({ socket: daemon.socket, folder: daemon.folder })}\n`);
process.stdin.resume();
process.stdin.once('end', () => void daemon.stop().then(() => process.exit(0)));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
