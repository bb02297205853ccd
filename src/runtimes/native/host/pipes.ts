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

/**
 * Real pipes. Node gives children socket pairs, and a program that opens /dev/stdout fails on those. The named pipes
 * are made ahead, in one call, and used again once both ends are closed.
 */
export class Pipes {
  readonly #free: string[] = [];
  #made = 0;
  #making: Promise<void> | undefined;

  /** What the child writes, we read. */
  async output(): Promise<Pipe> {
    const fifo = await this.#take();
    const ours = openSync(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const childFd = openSync(fifo, O_WRONLY | O_CLOEXEC);
    return { socket: this.#socket(fifo, ours, { readable: true, writable: false }), childFd };
  }

  /** What we write, the child reads. */
  async input(): Promise<Pipe> {
    const fifo = await this.#take();
    const opener = openSync(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const ours = openSync(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    const childFd = openSync(fifo, O_RDONLY | O_CLOEXEC);
    closeSync(opener);
    return { socket: this.#socket(fifo, ours, { readable: false, writable: true }, false), childFd };
  }

  async prepare(): Promise<void> {
    mkdirSync(pipesPath, { recursive: true, mode: 0o700 });
    await this.#make();
  }

  #socket(fifo: string, fd: number, mode: { readable: boolean; writable: boolean }, reusable = true): Socket {
    const socket = new Socket({ fd, ...mode });
    let ended = false;
    socket.on('end', () => {
      ended = true;
    });
    // Only a pipe that reached its end has no other user left.
    socket.on('close', () => {
      if (ended && reusable) this.#free.push(fifo);
      else rmSync(fifo, { force: true });
    });
    return socket;
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
