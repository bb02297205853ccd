import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const sources = path.join(import.meta.dirname, '..', 'programs');

/** Compiles one of our C programs into `folder`. */
export function compile(name: string, folder: string): string {
  const output = path.join(folder, name);
  execFileSync('gcc', ['-O2', '-o', output, path.join(sources, `${name}.c`)]);
  return output;
}

/** A program that answers each line with a line. */
export class LineProgram {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | undefined;

  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    createInterface({ input: this.#process.stdout }).on('line', line => this.#waiting.shift()?.resolve(line));
    this.#process.stdin.on('error', () => {}); // It has ended, and is told of below.
    const end = (reason: string) => {
      this.#ended ??= new Error(`${path.basename(args[0] ?? program)} ${reason}`);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
    };
    this.#process.once('error', error => end(error.message));
    this.#process.once('exit', (code, signal) => end(`ended with ${signal ?? `exit code ${code}`}`));
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.push({ resolve, reject });
      this.#process.stdin.write(`${line}\n`);
    });
  }

  close(): void {
    this.#process.stdin.end();
  }
}

/** Starts commands and times them, without what it costs Node to start a process. */
export class Spawner {
  readonly #program: LineProgram;

  constructor(executable: string) {
    this.#program = new LineProgram(executable, []);
  }

  async run(command: readonly string[]): Promise<number> {
    const [ms, status] = (await this.#program.ask(command.join('\t'))).split(' ').map(Number);
    if (status !== 0) throw new Error(`wait status ${status} of ${command.join(' ')}`);
    return ms!;
  }

  close(): void {
    this.#program.close();
  }
}
