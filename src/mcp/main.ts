import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { serveHttp } from './http.ts';
import { type AgentOptions, AgentSession } from './session.ts';

export interface McpOptions extends AgentOptions {
  /** Instead of stdin and stdout; port 0 takes a free one. */
  readonly http: { readonly port: number; readonly newToken: boolean } | undefined;
  /** Ends the server. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** `coppice mcp`: the verbs as tools, with resources and prompts. Resolves when the agent has gone or the server was ended. */
export function serveMcp(options: McpOptions): Promise<void> {
  return options.http
    ? serveHttp(options, options.http, options.signal, options.say)
    : serveStdio(options, options.signal);
}

async function serveStdio(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const session = new AgentSession(options);
  const close = () => void session.close();
  signal.addEventListener('abort', close, { once: true });
  process.stdin.once('end', close);
  process.stdin.once('close', close);
  await session.serve(new StdioServerTransport());
}
