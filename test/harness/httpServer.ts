import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { serverCommand } from './agent.ts';
import type { TestEngine } from './engine.ts';

/** `coppice mcp --http` as a process of its own, on a free port. */
export class HttpServer implements AsyncDisposable {
  readonly address: URL;
  /** What it said second: its token, or where that lies. */
  readonly line: string;
  readonly #process: ChildProcess;

  private constructor(address: URL, line: string, process: ChildProcess) {
    this.address = address;
    this.line = line;
    this.#process = process;
  }

  static async start(engine: TestEngine, more: readonly string[] = []): Promise<HttpServer> {
    const { command, args } = serverCommand({ tools: 'all', arguments: ['--http', ...more] });
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, COPPICE_HOME: engine.home, COPPICE_IMAGE: 'busybox' },
      cwd: engine.folder.path,
    });
    const kill = () => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const said = [await lines.next(), await lines.next()].map(({ value, done }) => (done ? undefined : String(value)));
    const [address, line] = said;
    if (address === undefined || line === undefined) throw new Error(`coppice mcp --http said only ${said.join(', ')}`);
    return new HttpServer(new URL(address), line, child);
  }

  get token(): string {
    return this.line.replace(/^token /, '');
  }

  /** The exit code. */
  async stop(): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await exited;
    }
    return this.#process.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
