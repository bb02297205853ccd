/** Every error that crosses the socket or reaches a person: what happened, to which thing, and the next step. */

export type ErrorCode =
  | 'invalid_input'
  | 'unknown_verb'
  | 'image_not_found'
  | 'ambiguous_reference'
  | 'operation_not_found'
  | 'file_not_found'
  | 'state_not_found'
  | 'state_collected'
  | 'branch_not_found'
  | 'sandbox_not_found'
  | 'process_not_found'
  | 'session_not_found'
  | 'guide_not_found'
  | 'path_not_found'
  | 'path_escapes'
  | 'not_a_file'
  | 'not_a_directory'
  | 'already_exists'
  | 'in_use'
  | 'runtime_unavailable'
  | 'unsupported'
  | 'import_failed'
  | 'build_failed'
  | 'registry_image_not_found'
  | 'registry_tag_not_found'
  | 'registry_unauthorized'
  | 'registry_untrusted'
  | 'registry_unavailable'
  | 'rate_limited'
  | 'no_network'
  | 'wrong_platform'
  | 'bad_digest'
  | 'command_not_started'
  | 'disk_full'
  | 'fenced'
  | 'conflict'
  | 'cancelled'
  | 'interrupted'
  | 'timeout'
  | 'engine_unreachable'
  | 'engine_busy'
  | 'version_mismatch'
  | 'engine_died'
  | 'internal'
  /** The SDK's own: they never cross the socket. */
  | 'execution_failed'
  | 'blocking_not_allowed'
  | 'would_deadlock';

/** The form an error has on the wire, in an operation's record and in `--json` output. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  /** The input field at fault, as a path: `limits.memory`. */
  readonly field?: string;
  /** The next step, an imperative sentence. */
  readonly fix?: string;
  /** Ids and candidates a program may want. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface ErrorDetails {
  readonly field?: string;
  readonly fix?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class CoppiceError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly fix: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CoppiceError';
    this.code = code;
    this.field = details.field;
    this.fix = details.fix;
    this.data = details.data;
  }

  /** Bundles that work together have a class of their own each; their errors are all of this kind. Its subclasses are themselves. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (Function.prototype[Symbol.hasInstance].call(this, value)) return true;
    return this === CoppiceError && value instanceof Error && value.name === 'CoppiceError' && 'code' in value;
  }

  static from(wire: WireError): CoppiceError {
    return new CoppiceError(wire.code, wire.message, {
      ...(wire.field === undefined ? {} : { field: wire.field }),
      ...(wire.fix === undefined ? {} : { fix: wire.fix }),
      ...(wire.data === undefined ? {} : { data: wire.data }),
    });
  }
}

/** Any thrown value in its wire form; what is not ours becomes `internal`, disk-full and cancellation are recognised. */
export function toWireError(error: unknown): WireError {
  if (error instanceof CoppiceError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      ...(error.data === undefined ? {} : { data: error.data }),
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (isDiskFull(error)) {
    return {
      code: 'disk_full',
      message: `the disk is full: ${message}`,
      fix: 'Free space (`coppice prune` removes unused images), then try again.',
    };
  }
  if (error instanceof Error && error.name === 'AbortError') return { code: 'cancelled', message: 'cancelled' };
  return { code: 'internal', message };
}

function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code;
  return (
    code === 'ENOSPC' || code === 'EDQUOT' || /database or disk is full|No space left on device/.test(error.message)
  );
}

/** `message` goes on from the field's name: what a surface shows always names it. */
export function invalidInput(field: string, message: string, fix?: string): CoppiceError {
  return new CoppiceError('invalid_input', `${field}: ${message}`, { field, ...(fix === undefined ? {} : { fix }) });
}
