import { execFile } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { pipesPath } from './paths.ts';

const {
  O_RDONLY,
  O_WRONLY,
  O_NONBLOCK,
  O_CLOEXEC = 0o2000000,
} = constants as typeof constants & {
  O_CLOEXEC?: number;
};
const spare = 16;

/** One end is ours, the other is a blocking descriptor for a child; close `childFd` once the child has it. */
export interface Pipe {
  readonly socket: Socket;
  readonly childFd: number;
}
export interface OutputPipe extends Pipe {
  /** Everybody who had it is dead, so another process may have it next. Until then nobody may. */
  release(): void;
}

/**
 * Real pipes. Node gives children socket pairs, and a program that opens /dev/stdout fails on those. The named pipes
 * are made ahead, in one call. That one reached its end does not mean that it is free: a process may have opened it for
 * reading by way of /proc/self/fd, and would get what the next process writes. So one is used again only after a whole
 * sandbox has ended, and all others lose their name at once.
 */
export class Pipes {
  readonly #free: string[] = [];
  #made = 0;
  #making: Promise<void> | undefined;

  /** What the child writes, we read. `once`: there is no telling when it is free again. */
  async output(use: 'once' | 'untilReleased'): Promise<OutputPipe> {
    const fifo = await this.#take();
    const ours = openSync(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const childFd = openSync(fifo, O_WRONLY | O_CLOEXEC);
    const socket = new Socket({ fd: ours, readable: true, writable: false });
    if (use === 'once') {
      rmSync(fifo);
      return { socket, childFd, release: () => undefined };
    }
    let ended = false;
    socket.on('end', () => {
      ended = true;
    });
    const release = () => {
      if (ended) this.#free.push(fifo);
      else rmSync(fifo, { force: true });
    };
    return { socket, childFd, release };
  }

  /** What we write, the child reads. */
  async input(): Promise<Pipe> {
    const fifo = await this.#take();
    const opener = openSync(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const ours = openSync(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    const childFd = openSync(fifo, O_RDONLY | O_CLOEXEC);
    closeSync(opener);
    rmSync(fifo);
    return { socket: new Socket({ fd: ours, readable: false, writable: true }), childFd };
  }

  async prepare(): Promise<void> {
    mkdirSync(pipesPath, { recursive: true, mode: 0o700 });
    await this.#make();
  }

  async #take(): Promise<string> {
    while (this.#free.length === 0) await this.#make();
    const fifo = this.#free.pop()!;
    return fifo;
  }

  #make(): Promise<void> {
    this.#making ??= this.#makeMore().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeMore(): Promise<void> {
    const names = Array.from({ length: spare }, () => path.join(pipesPath, String(this.#made++)));
    await promisify(execFile)('mkfifo', ['-m', '600', '--', ...names]);
    this.#free.push(...names);
  }
}
