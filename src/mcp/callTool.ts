import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolRequest,
  type CallToolResult,
  ErrorCode,
  McpError,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import type { CallOptions, EngineClient } from '../client/engineClient.ts';
import type { Fence } from '../fence/fence.ts';
import { usesHostNetwork, withHostPaths } from '../fence/hostPaths.ts';
import { CoppiceError, toWireError, type WireError } from '../protocol/errors.ts';
import { type ListedVerb, surfaceDefaults, verbs } from '../verbs/verbs.ts';
import { fitAnswer } from './answerSize.ts';
import type { EngineConnection } from './engineConnection.ts';
import type { Roots } from './roots.ts';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

export interface ToolSession {
  readonly engine: EngineConnection;
  readonly tools: readonly Tool[];
  readonly roots: Roots;
  readonly allowHostNetwork: boolean;
}

/** One tool call: the verb's result as structure and as text. Only Coppice's own errors are `isError`, a failed command is a result. */
export async function callTool(
  session: ToolSession,
  { name, arguments: given = {} }: CallToolRequest['params'],
  extra: Extra,
): Promise<CallToolResult> {
  if (!session.tools.some(tool => tool.name === name)) throw new McpError(ErrorCode.InvalidParams, `no tool ${name}`);
  const verb = name as ListedVerb;
  try {
    if (usesHostNetwork(given) && !session.allowHostNetwork) throw hostNetworkRefused();
    const fence = await session.roots.fence();
    const input = withHostPaths(verb, { ...surfaceDefaults.mcp[verb], ...given }, fence);
    const client = await session.engine.connect();
    const options = { signal: extra.signal, ...progressTo(extra) };
    const answer = await client.callByName(verb, await withKnownTarget(verb, input, fence, client, options), options);
    const result = fitAnswer(answer);
    if (result === undefined) throw tooLarge(verb);
    const render = verbs[verb].render as (result: unknown) => string;
    return { content: [{ type: 'text', text: render(result) }], structuredContent: result as Record<string, unknown> };
  } catch (error) {
    return errorResult(toWireError(error));
  }
}

/** Where `apply` writes when nobody says is the engine's knowledge: ask, so that it can be checked. */
async function withKnownTarget(
  verb: ListedVerb,
  input: Record<string, unknown>,
  fence: Fence,
  client: EngineClient,
  options: CallOptions,
): Promise<Record<string, unknown>> {
  if (verb !== 'apply' || input.to !== undefined) return input;
  const preview = (await client.callByName('apply', { ...input, dry_run: true }, options)) as { readonly to: string };
  return { ...input, to: fence.inside('to', preview.to) };
}

function hostNetworkRefused(): CoppiceError {
  return new CoppiceError('fenced', 'network: agents may not share this machine’s network', {
    field: 'network',
    fix: 'Use nat or none. A person may allow it: coppice mcp --allow-host-network.',
  });
}

function tooLarge(verb: ListedVerb): CoppiceError {
  return new CoppiceError('unsupported', `the answer of ${verb} is too large for one message`, {
    fix: 'Ask for less: a lower limit or length, fewer operations, a narrower path; then go on from there.',
  });
}

function progressTo(extra: Extra): Pick<CallOptions, 'onProgress'> {
  const token = extra._meta?.progressToken;
  if (token === undefined) return {};
  let steps = 0;
  return {
    onProgress: ({ message, done, total }) => {
      const params = {
        progressToken: token,
        progress: done ?? ++steps,
        message,
        ...(total === undefined ? {} : { total }),
      };
      extra.sendNotification({ method: 'notifications/progress', params }).catch(() => undefined); // The agent has gone; the call's end says so.
    },
  };
}

function errorResult(error: WireError): CallToolResult {
  const lines = [`${error.code}: ${error.message}`, ...(error.fix === undefined ? [] : [`fix: ${error.fix}`])];
  return { isError: true, content: [{ type: 'text', text: lines.join('\n') }] };
}
