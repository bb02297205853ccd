import path from 'node:path';
import { BlockingLink } from './bridge/blockingLink.ts';
import * as core from './core.ts';

/**
 * The SDK for scripts: every method returns at once, `.get()` blocks for its result, `await` waits for it.
 *
 *     import { Sandbox } from 'coppice';
 *     using sandbox = Sandbox.run({ image: 'tag:python:3.11' });
 *     console.log(sandbox.exec(['python', '--version']).get().stdout);
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
  results,
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
  wait,
} from './core.ts';
export type * from './publicTypes.ts';

/** One a thread, made when it is first needed. */
let link: BlockingLink | undefined;

export class Sandbox extends core.Sandbox {
  /** @internal */
  static override link(): BlockingLink {
    link ??= new BlockingLink(path.join(import.meta.dirname, 'bridge.js'), core.engineLocation());
    return link;
  }
}

export class Session extends core.Session<Sandbox> {
  /** @internal */
  static override sandboxes(): typeof Sandbox {
    return Sandbox;
  }
}
