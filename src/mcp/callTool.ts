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
import { toWireError, type WireError } from '../protocol/errors.ts';
import { type ListedVerb, surfaceDefaults, verbs } from '../verbs/verbs.ts';
import type { EngineConnection } from './engineConnection.ts';
import { absoluteHostPaths } from './hostPaths.ts';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

interface Session {
  readonly tools: readonly Tool[];
  readonly cwd: string;
}

/** One tool call: the verb's result as structure and as text. Only Coppice's own errors are `isError`, a failed command is a result. */
export async function callTool(
  engine: EngineConnection,
  session: Session,
  { name, arguments: given = {} }: CallToolRequest['params'],
  extra: Extra,
): Promise<CallToolResult> {
  if (!session.tools.some(tool => tool.name === name)) throw new McpError(ErrorCode.InvalidParams, `no tool ${name}`);
  const verb = name as ListedVerb;
  const input = absoluteHostPaths(verb, { ...surfaceDefaults.mcp[verb], ...given }, session.cwd);
  try {
    const client = await engine.connect();
    const result = await client.callByName(verb, input, { signal: extra.signal, ...progressTo(extra) });
    const render = verbs[verb].render as (result: unknown) => string;
    return { content: [{ type: 'text', text: render(result) }], structuredContent: result as Record<string, unknown> };
  } catch (error) {
    return errorResult(toWireError(error));
  }
}

function progressTo(extra: Extra): object {
  const token = extra._meta?.progressToken;
  if (token === undefined) return {};
  let steps = 0;
  return {
    onProgress: (progress: { readonly message: string; readonly done?: number; readonly total?: number }) => {
      const notification = {
        method: 'notifications/progress' as const,
        params: {
          progressToken: token,
          progress: progress.done ?? ++steps,
          message: progress.message,
          ...(progress.total === undefined ? {} : { total: progress.total }),
        },
      };
      extra.sendNotification(notification).catch(() => undefined); // The agent has gone; the call's end says so.
    },
  };
}

function errorResult(error: WireError): CallToolResult {
  const lines = [`${error.code}: ${error.message}`, ...(error.fix === undefined ? [] : [`fix: ${error.fix}`])];
  return { isError: true, content: [{ type: 'text', text: lines.join('\n') }] };
}
