import { type ChildProcess, spawn } from 'node:child_process';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { HostSettings } from '../hostApi.ts';

/** An own network namespace with a way out, for one sandbox and then no other. */
export interface NatNetwork {
  /** To be joined by the container. */
  readonly path: string;
  readonly resolver: string;
  release(): void;
}

const poolSize = 2;
const readyTimeoutMs = 5000;
/** slirp4netns's own addresses. */
const resolver = '10.0.2.3';

/** Network namespaces with their slirp4netns, made ahead: a run pays for none of it. */
export class Networks {
  readonly #available: boolean;
  readonly #log: (line: string) => void;
  readonly #ready: Promise<NatNetwork>[] = [];

  constructor(settings: HostSettings, log: (line: string) => void) {
    this.#available = settings.nat !== null;
    this.#log = log;
  }

  /** undefined where there is no way out of a namespace. */
  async take(): Promise<NatNetwork | undefined> {
    if (!this.#available) return undefined;
    const next = this.#ready.shift() ?? makeNetwork();
    this.#refill();
    try {
      return await next;
    } catch (error) {
      this.#log(`a prepared network failed: ${(error as Error).message}`);
      return makeNetwork();
    }
  }

  #refill(): void {
    while (this.#ready.length < poolSize) {
      const network = makeNetwork();
      // Whoever takes it is told.
      network.catch(() => undefined);
      this.#ready.push(network);
    }
  }
}

async function makeNetwork(): Promise<NatNetwork> {
  // `cat` holds the namespace until it is released.
  const holder = spawn('unshare', ['-n', '--', '/bin/sh', '-c', 'echo && exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  try {
    await firstOutput(holder, 'unshare');
    const slirp = spawn(
      'slirp4netns',
      [
        '--configure',
        '--mtu=65520',
        '--disable-host-loopback',
        '--enable-seccomp',
        '--ready-fd=3',
        String(holder.pid),
        'tap0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
    );
    try {
      await slirpReady(slirp);
    } catch (error) {
      slirp.kill('SIGKILL');
      throw error;
    }
    slirp.on('error', () => undefined);
    const release = () => {
      slirp.kill('SIGKILL');
      holder.kill('SIGKILL');
    };
    return { path: `/proc/${holder.pid}/ns/net`, resolver, release };
  } catch (error) {
    holder.kill('SIGKILL');
    throw error;
  }
}

function firstOutput(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', code => reject(noNetwork(`${name} ended with code ${code}`)));
    child.stdout!.once('data', () => resolve());
  });
}

function slirpReady(slirp: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    const timer = setTimeout(
      () => reject(noNetwork(`slirp4netns was not ready in time: ${complaint}`)),
      readyTimeoutMs,
    );
    slirp.stderr!.on('data', (text: Buffer) => {
      if (complaint.length < 2000) complaint += text;
    });
    slirp.once('error', reject);
    slirp.once('exit', code => reject(noNetwork(`slirp4netns ended with code ${code}: ${complaint.trim()}`)));
    slirp.stdio[3]!.once('data', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function noNetwork(reason: string): CoppiceError {
  return new CoppiceError('internal', `no network with a way out could be made: ${reason}`, {
    fix: 'Run it with the network `none` or `host`.',
  });
}
