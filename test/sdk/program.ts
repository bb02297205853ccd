import { spawn } from 'node:child_process';
import path from 'node:path';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface ProgramOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Then it is killed, and its signal says so. */
  readonly seconds?: number;
  readonly args?: readonly string[];
  /** Called with all it printed so far, whenever it prints. */
  readonly onOutput?: (text: string, pid: number) => void;
}

/** A program that uses the SDK as everybody does, in a process of its own: a file below test/sdk. */
export function runProgram(file: string, { env, seconds = 30, args = [], onOutput }: ProgramOptions): Promise<Ended> {
  const begun = performance.now();
  const child = spawn(process.execPath, [path.join(import.meta.dirname, file), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onOutput?.(stdout, child.pid!);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - begun });
    });
  });
}
