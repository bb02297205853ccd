import * as core from './core.ts';
import { DirectLink } from './directLink.ts';

/**
 * The SDK for async code, in this thread alone: `await` everything. `.get()` throws `BlockingNotAllowedError`, `for await` reads
 * streams, `results` and `wait` return promises.
 */

export {
  BlockingNotAllowedError,
  BuildFailedError,
  CommandNotStartedError,
  CoppiceError,
  EngineBusyError,
  EngineDiedError,
  EngineError,
  EngineUnreachableError,
  GetTimeoutError,
  ImageNotFoundError,
  InterruptedError,
  InvalidInputError,
  OperationCancelledError,
  OperationRef,
  Process,
  ProcessNotFoundError,
  ProcessResult,
  RemoteFunction,
  RemoteFunctionError,
  resultsLater as results,
  SandboxConflictError,
  SandboxError,
  SandboxExecutionError,
  SandboxFileError,
  SandboxInUseError,
  SandboxNotFoundError,
  SandboxTimeoutError,
  SessionCloseError,
  SessionNotFoundError,
  Shell,
  StreamReader,
  StreamWriter,
  WouldDeadlockError,
  waitLater as wait,
} from './core.ts';
export type * from './publicTypes.ts';

/** One a thread, made when it is first needed. */
let link: DirectLink | undefined;

export class Sandbox extends core.Sandbox {
  /** @internal */
  static override link(): DirectLink {
    link ??= new DirectLink(core.engineLocation());
    return link;
  }
}

export class Session extends core.Session<Sandbox> {
  /** @internal */
  static override sandboxes(): typeof Sandbox {
    return Sandbox;
  }
}
