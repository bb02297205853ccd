import { CoppiceError, type ErrorCode, type ErrorDetails, toWireError, type WireError } from '../protocol/errors.ts';
import type { ProcessResult } from './processResult.ts';

export interface SandboxErrorDetails extends ErrorDetails {
  readonly sandboxId?: string | undefined;
}

/** The root of all errors of the SDK: what happened (`code` is stable), to which sandbox, and the next step in `fix`. */
export class SandboxError extends CoppiceError {
  readonly sandboxId: string | undefined;

  constructor(code: ErrorCode, message: string, details: SandboxErrorDetails = {}) {
    super(code, message, details);
    this.name = new.target.name;
    this.sandboxId = details.sandboxId;
  }

  /** true: the same call may well succeed when it is made again. */
  get retryable(): boolean {
    return false;
  }
}

/** An argument is wrong; nothing was begun. */
export class InvalidInputError extends SandboxError {}
export class ImageNotFoundError extends SandboxError {}
export class SandboxNotFoundError extends SandboxError {}
/** The sandbox is over, or in a state that does not allow this. */
export class SandboxConflictError extends SandboxError {}
/** Another open session owns the sandbox. */
export class SandboxInUseError extends SandboxError {}
export class SessionNotFoundError extends SandboxError {}
export class ProcessNotFoundError extends SandboxError {}
/** The program does not exist in the image, or cannot be started. */
export class CommandNotStartedError extends SandboxError {}
/** A path inside the sandbox is missing, or of another kind than asked for. */
export class SandboxFileError extends SandboxError {}
/** A Dockerfile was not built: `data` has the step, the command, its exit code and the last lines of its output. */
export class BuildFailedError extends SandboxError {}
/** The work was cancelled, by `cancel()` or its signal. */
export class OperationCancelledError extends SandboxError {}

export class EngineError extends SandboxError {
  override get retryable(): boolean {
    return true;
  }
}
/** The engine ended or stopped answering while it was needed; its sandboxes are gone with it. */
export class EngineDiedError extends EngineError {}
export class EngineUnreachableError extends EngineError {}
/** As many sandboxes live as may at once. */
export class EngineBusyError extends EngineError {}

/** `.get({timeoutMs})` ran out. The work goes on: ask again. */
export class GetTimeoutError extends SandboxError {
  override get retryable(): boolean {
    return true;
  }
}

/** Ctrl-C while blocked in `.get()`. The work goes on; uncaught, the program ends with code 130. */
export class InterruptedError extends SandboxError {
  readonly exitCode = 130;
}
/** `.get()` on what needs this thread to go on: it would never end. Use `await`. */
export class WouldDeadlockError extends SandboxError {}
/** `coppice/async` never blocks. Use `await`. */
export class BlockingNotAllowedError extends SandboxError {}

/** `check: true`, and the command did not end with exit code 0. */
export class SandboxExecutionError extends SandboxError {
  readonly result: ProcessResult;

  constructor(message: string, result: ProcessResult, details: SandboxErrorDetails = {}) {
    super('execution_failed', message, details);
    this.result = result;
  }
}

/** `timeoutMs` of the command ran out: it was killed with all it had started. `result` has what it wrote until then. */
export class SandboxTimeoutError extends SandboxError {
  readonly result: ProcessResult;

  constructor(message: string, result: ProcessResult, details: SandboxErrorDetails = {}) {
    super('timeout', message, details);
    this.result = result;
  }
}

/** Some sandboxes of a session did not stop: `errors` has one for each. */
export class SessionCloseError extends SandboxError {
  readonly errors: readonly SandboxError[];

  constructor(message: string, errors: readonly SandboxError[]) {
    super('internal', message, { data: { sandboxes: errors.map(error => error.sandboxId) } });
    this.errors = errors;
  }
}

/** A remote function threw. `remoteName` and `remoteStack` are its error's. */
export class RemoteFunctionError extends SandboxError {
  readonly remoteName: string;
  readonly remoteStack: string;

  constructor(message: string, remote: { readonly name: string; readonly stack: string }, sandboxId?: string) {
    super('execution_failed', message, { sandboxId });
    this.remoteName = remote.name;
    this.remoteStack = remote.stack;
  }
}

type ErrorClass = new (code: ErrorCode, message: string, details?: SandboxErrorDetails) => SandboxError;

const CLASSES: Readonly<Partial<Record<ErrorCode, ErrorClass>>> = {
  invalid_input: InvalidInputError,
  image_not_found: ImageNotFoundError,
  sandbox_not_found: SandboxNotFoundError,
  session_not_found: SessionNotFoundError,
  process_not_found: ProcessNotFoundError,
  conflict: SandboxConflictError,
  in_use: SandboxInUseError,
  build_failed: BuildFailedError,
  command_not_started: CommandNotStartedError,
  path_not_found: SandboxFileError,
  path_escapes: SandboxFileError,
  not_a_file: SandboxFileError,
  not_a_directory: SandboxFileError,
  cancelled: OperationCancelledError,
  engine_died: EngineDiedError,
  engine_unreachable: EngineUnreachableError,
  engine_busy: EngineBusyError,
};

/** @internal The error that a caller gets, the same by `.get()` and by `await`. */
export function sandboxError(wire: WireError, sandboxId?: string, cause?: unknown): SandboxError {
  const { code, message, field, fix, data } = wire;
  const details = {
    ...(field === undefined ? {} : { field }),
    ...(fix === undefined ? {} : { fix }),
    ...(data === undefined ? {} : { data }),
    ...(cause === undefined ? {} : { cause }),
    sandboxId: sandboxId ?? (typeof data?.sandbox_id === 'string' ? data.sandbox_id : undefined),
  };
  return new (CLASSES[code] ?? SandboxError)(code, message, details);
}

/** @internal Whatever was thrown, as one of ours. */
export function asSandboxError(error: unknown, sandboxId?: string): SandboxError {
  return error instanceof SandboxError ? error : sandboxError(toWireError(error), sandboxId, error);
}

/** @internal */
export function invalid(field: string, message: string, fix?: string): InvalidInputError {
  return new InvalidInputError('invalid_input', `${field}: ${message}`, {
    field,
    ...(fix === undefined ? {} : { fix }),
  });
}
