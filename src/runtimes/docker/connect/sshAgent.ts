import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Agent } from 'node:http';
import { Duplex } from 'node:stream';

/**
 * HTTP by way of the user's own `ssh`, with its keys, its configuration and its known hosts, as docker's command line
 * does it: `docker system dial-stdio` on the other side passes everything on to the daemon there.
 */
export class SshAgent extends Agent {
  readonly #args: readonly string[];

  constructor(url: string) {
    super({ keepAlive: true, maxFreeSockets: 4 });
    this.#args = sshArguments(url);
  }

  override createConnection(): Duplex {
    return new SshSocket(spawn('ssh', this.#args, { stdio: 'pipe' }));
  }
}

export function sshArguments(url: string): string[] {
  const { username, hostname, port } = new URL(url);
  if (hostname === '' || hostname.startsWith('-') || username.startsWith('-'))
    throw new Error(`not an address for ssh: ${url}`);
  return [
    ...['-T', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=15'],
    ...(username === '' ? [] : ['-l', decodeURIComponent(username)]),
    ...(port === '' ? [] : ['-p', port]),
    ...['--', hostname, 'docker', 'system', 'dial-stdio'],
  ];
}

/** As much of a socket as node's HTTP asks for. */
class SshSocket extends Duplex {
  readonly #ssh: ChildProcessWithoutNullStreams;
  #complaint = '';

  constructor(ssh: ChildProcessWithoutNullStreams) {
    super({ allowHalfOpen: true });
    this.#ssh = ssh;
    ssh.once('error', error => this.destroy(error));
    ssh.stdin.on('error', error => this.destroy(error));
    ssh.stderr.on('data', (text: Buffer) => {
      if (this.#complaint.length < 1000) this.#complaint += text;
    });
    ssh.stdout.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) ssh.stdout.pause();
    });
    ssh.once('close', code => {
      if (code === 0) this.push(null);
      else this.destroy(new Error(`ssh ended with ${code}: ${this.#complaint.trim()}`));
    });
  }

  override _read(): void {
    this.#ssh.stdout.resume();
  }
  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#ssh.stdin.write(bytes, done);
  }
  override _final(done: () => void): void {
    this.#ssh.stdin.end(done);
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#ssh.kill();
    done(error);
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
