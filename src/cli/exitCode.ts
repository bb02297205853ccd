import type { ErrorCode } from '../protocol/errors.ts';
import type { OperationView } from '../protocol/schemas/operations.ts';

/** What the shell that called us learns. Everything else is the command's own exit code. */
export const EXIT = {
  ok: 0,
  /** Asked for something that is not there or not possible. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  timedOut: 124,
  /** The engine or the runtime could not do its part; with `run`, `exec` and `shell`: the command was not run. */
  trouble: 125,
  cancelled: 130,
} as const;

const TROUBLE: readonly ErrorCode[] = [
  'engine_unreachable',
  'engine_busy',
  'engine_died',
  'version_mismatch',
  'runtime_unavailable',
  'command_not_started',
  'interrupted',
  'disk_full',
  'internal',
];

export function exitCodeOfError(code: ErrorCode): number {
  if (code === 'invalid_input' || code === 'unknown_verb') return EXIT.usage;
  if (code === 'cancelled') return EXIT.cancelled;
  if (code === 'timeout') return EXIT.timedOut;
  return TROUBLE.includes(code) ? EXIT.trouble : EXIT.failed;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

type Ended = Pick<OperationView, 'status' | 'exit_code' | 'signal' | 'timed_out' | 'error'>;

export function exitCodeOfOperation(operation: Ended): number {
  if (operation.status === 'CANCELLED') return EXIT.cancelled;
  if (operation.timed_out) return EXIT.timedOut;
  if (operation.signal !== null) return 128 + (SIGNAL_NUMBERS[operation.signal] ?? 0);
  if (operation.exit_code !== null) return operation.exit_code;
  return operation.status === 'SUCCESS' ? EXIT.ok : EXIT.trouble;
}

type EndedProcess = { readonly exit_code: number | null; readonly signal: string | null; readonly timed_out: boolean };

export function exitCodeOfProcess(process: EndedProcess): number {
  return exitCodeOfOperation({ ...process, status: 'FAILED', error: null });
}
