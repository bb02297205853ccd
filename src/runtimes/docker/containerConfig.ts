import type Docker from 'dockerode';
import type { ProcessSpec, SandboxSpec } from '../runtime.ts';
import type { Daemon } from './connect/connection.ts';
import { withAlgorithm } from './images.ts';
import type { Names } from './names.ts';
import type { Joined } from './pauses.ts';
import { insideProgram } from './tools.ts';

const defaultPids = 4096;

export interface ContainerParts {
  readonly daemon: Daemon;
  readonly names: Names;
  readonly spec: SandboxSpec;
  /** The image that it runs on. */
  readonly ground: Docker.ImageInspectInfo;
  readonly network: Joined;
  /** Our own program, where the sandbox needs it. */
  readonly bind: string | undefined;
}

/** How a sandbox is asked of the daemon: nothing of this machine is mounted, and it gains no rights. */
export function containerConfig(parts: ContainerParts): Docker.ContainerCreateOptions {
  const { daemon, names, spec, ground, network, bind } = parts;
  const { main, limits } = spec;
  const inImage = (ground.Config.Env ?? []).map(entry => entry.split('=', 1)[0]!);
  return {
    name: names.container(spec.id),
    Image: withAlgorithm(ground.Id),
    ...command(main),
    // A name alone takes a variable of the image away. Podman would look it up in its own environment.
    Env: [
      ...Object.entries(main?.env ?? {}).map(([name, value]) => `${name}=${value}`),
      ...(daemon.podman || !main ? [] : inImage.filter(name => !(name in main.env))),
    ],
    WorkingDir: main?.cwd ?? '/',
    User: main?.user ?? '',
    // A network that is joined brings its name along.
    ...(network.mode.includes(':') || network.mode === 'host' ? {} : { Hostname: spec.hostname }),
    Labels: names.labels(main && !spec.id.startsWith('sb-') ? 'run' : 'sandbox', spec.id),
    // Nothing would act on it. Podman makes a timer of systemd's even of none.
    ...(daemon.podman ? {} : { Healthcheck: { Test: ['NONE'] } }),
    HostConfig: {
      NetworkMode: network.mode,
      LogConfig: logging(daemon, main),
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: limits.pids ?? defaultPids,
      ...(limits.memory === undefined ? {} : { Memory: limits.memory, MemorySwap: limits.memory }),
      ...(limits.cpus === undefined ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
      Binds: bind === undefined ? [] : [bind],
    },
  };
}

function command(main: ProcessSpec | undefined): Docker.ContainerCreateOptions {
  if (!main) return { Entrypoint: [insideProgram], Cmd: ['pause'] };
  const input = main.stdin.kind !== 'none';
  return {
    Entrypoint: [main.args[0]!],
    Cmd: main.args.slice(1),
    Tty: main.tty !== undefined,
    OpenStdin: input,
    StdinOnce: input,
    AttachStdin: input,
    AttachStdout: true,
    AttachStderr: true,
  };
}

/** What an engine that is started anew reads on: byte for byte, which Docker's default is not. */
function logging(daemon: Daemon, main: ProcessSpec | undefined): Docker.HostConfig['LogConfig'] {
  if (daemon.podman) return { Type: main ? 'k8s-file' : 'none', Config: {} };
  return main
    ? { Type: 'local', Config: { 'max-size': '1g', 'max-file': '2', compress: 'false' } }
    : { Type: 'none', Config: {} };
}
