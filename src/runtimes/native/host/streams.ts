import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { streamsPath } from './paths.ts';

/** Long streams between engine and host, one connection each, so that the kernel does the flow control. */
export class Streams {
  readonly #server: Server;
  readonly #waiting = new Map<string, (socket: Socket) => void>();
  /** Connected before their request was read. */
  readonly #early = new Map<string, Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<Streams> {
    rmSync(streamsPath, { force: true });
    const server = createServer({ allowHalfOpen: true });
    const streams = new Streams(server);
    server.on('connection', socket => streams.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(streamsPath, resolve);
    });
    return streams;
  }

  /** The engine connects and sends the name it gave in its request as the first line. */
  accept(name: string, signal?: AbortSignal): Promise<Socket> {
    const early = this.#early.get(name);
    if (early) {
      this.#early.delete(name);
      return Promise.resolve(early);
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(name);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.set(name, socket => {
        signal?.removeEventListener('abort', abort);
        resolve(socket);
      });
    });
  }

  close(): void {
    this.#server.close();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(10);
      if (end < 0 && head.length < 200) return;
      socket.off('data', onData);
      socket.pause();
      const name = head.subarray(0, Math.max(end, 0)).toString();
      if (end + 1 < head.length) socket.unshift(head.subarray(end + 1));
      const take = this.#waiting.get(name);
      this.#waiting.delete(name);
      if (take) {
        take(socket);
        return;
      }
      this.#early.set(name, socket);
      socket.on('close', () => this.#early.delete(name));
    };
    socket.on('data', onData);
  }
}
