import {
  type CallToolRequest,
  type CallToolResult,
  ErrorCode,
  McpError,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import type { EngineClient } from '../client/engineClient.ts';
import { fencedInput } from '../fence/fencedInput.ts';
import { CoppiceError, toWireError, type WireError } from '../protocol/errors.ts';
import type { Progress } from '../protocol/rpc.ts';
import { type ListedVerb, surfaceDefaults, verbs } from '../verbs/verbs.ts';
import { fitAnswer } from './answerSize.ts';
import type { EngineConnection } from './engineConnection.ts';
import { CallProgress, type Extra } from './progress.ts';
import type { Roots } from './roots.ts';

export interface ToolSession {
  readonly engine: EngineConnection;
  readonly tools: readonly Tool[];
  readonly roots: Roots;
  readonly allowHostNetwork: boolean;
  /** Told of operations that go on when the call has been answered. */
  readonly leftRunning: (operation: string) => void;
}

/** One tool call: the verb's result as structure and as text. Only Coppice's own errors are `isError`, a failed command is a result. */
export async function callTool(
  session: ToolSession,
  { name, arguments: given = {} }: CallToolRequest['params'],
  extra: Extra,
): Promise<CallToolResult> {
  if (!session.tools.some(tool => tool.name === name)) throw new McpError(ErrorCode.InvalidParams, `no tool ${name}`);
  const verb = name as ListedVerb;
  const progress = CallProgress.of(extra);
  try {
    const client = await session.engine.connect();
    const limits = {
      fence: await session.roots.fence(),
      allowHostNetwork: session.allowHostNetwork,
      howToAllowNetwork: 'A person may allow it: coppice mcp --allow-host-network.',
    };
    const { signal } = extra;
    const input = await fencedInput(
      verb,
      { ...surfaceDefaults.mcp[verb], ...given },
      limits,
      preview => client.callByName(verb, preview, { signal }) as Promise<{ readonly to: string }>,
    );
    if (progress) await followWaited(verb, input, client, progress);
    const onProgress = progress && ((step: Progress) => tell(step, client, progress));
    const answer = await client.callByName(verb, input, { signal, ...(onProgress ? { onProgress } : {}) });
    const result = fitAnswer(answer);
    if (result === undefined) throw tooLarge(verb);
    if (isUnfinished(result)) session.leftRunning(result.operation_id);
    const render = verbs[verb].render as (result: unknown) => string;
    return { content: [{ type: 'text', text: render(result) }], structuredContent: result as Record<string, unknown> };
  } catch (error) {
    return errorResult(toWireError(error));
  } finally {
    progress?.end();
  }
}

async function followWaited(
  verb: ListedVerb,
  input: Readonly<Record<string, unknown>>,
  client: EngineClient,
  progress: CallProgress,
): Promise<void> {
  const ids = input.operation_ids;
  if (verb !== 'wait_operations' || !Array.isArray(ids)) return;
  await progress.followEnds(client, [...new Set(ids.filter(id => typeof id === 'string'))]);
}

/** The operation's own progress; once it has a name, its output too. */
function tell(step: Progress, client: EngineClient, progress: CallProgress): void {
  progress.tell(step);
  if (step.operation_id === undefined) return;
  // Live output is a courtesy: the answer has all of it, and says itself when the engine has gone.
  progress.followOutput(client, step.operation_id).catch(() => undefined);
}

function isUnfinished(result: unknown): result is { readonly operation_id: string } {
  const { operation_id: id, status } = result as { readonly operation_id?: unknown; readonly status?: unknown };
  return typeof id === 'string' && (status === 'PENDING' || status === 'EXECUTING');
}

function tooLarge(verb: ListedVerb): CoppiceError {
  return new CoppiceError('unsupported', `the answer of ${verb} is too large for one message`, {
    fix: 'Ask for less: a lower limit or length, fewer operations, a narrower path; then go on from there.',
  });
}

function errorResult(error: WireError): CallToolResult {
  const lines = [`${error.code}: ${error.message}`, ...(error.fix === undefined ? [] : [`fix: ${error.fix}`])];
  return { isError: true, content: [{ type: 'text', text: lines.join('\n') }] };
}
