/** How a command ended, and what it wrote. */
export class ProcessResult {
  /** Standard output as text; broken UTF-8 becomes U+FFFD, the bytes have it as it was. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderrBytes: Uint8Array;
  /** 128 + n when signal n ended it. */
  readonly returncode: number;
  readonly signal: string | null;
  /** It wrote more than a result holds (64 MiB a stream): the rest is in `process.stdout` and `process.stderr`. */
  readonly truncated: boolean;
  readonly command: readonly string[];
  readonly durationMs: number;

  constructor(parts: Omit<ProcessResult, 'stdout' | 'stderr' | 'ok'>) {
    this.stdoutBytes = parts.stdoutBytes;
    this.stderrBytes = parts.stderrBytes;
    this.stdout = text(parts.stdoutBytes);
    this.stderr = text(parts.stderrBytes);
    this.returncode = parts.returncode;
    this.signal = parts.signal;
    this.truncated = parts.truncated;
    this.command = parts.command;
    this.durationMs = parts.durationMs;
  }

  /** Exit code 0. */
  get ok(): boolean {
    return this.returncode === 0;
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
