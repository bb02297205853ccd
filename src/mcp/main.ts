import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { VERSION } from '../protocol/version.ts';
import { callTool } from './callTool.ts';
import { EngineConnection } from './engineConnection.ts';
import { Roots } from './roots.ts';
import { listTools, type ToolSet } from './tools.ts';

export interface McpOptions {
  readonly home: string;
  readonly engineScript: string;
  readonly tools: ToolSet;
  /** What the agent may reach when its client names no roots. */
  readonly cwd: string;
  /** Folders a person allowed beside them. */
  readonly allow: readonly string[];
  readonly allowHostNetwork: boolean;
}

const INSTRUCTIONS = [
  'Coppice runs commands in branching sandboxes on this machine. An image is an immutable file system; run starts a',
  'fresh sandbox from one, and with disposable:false answers with a new image to go on from. Nothing is ever lost:',
  'after a failure run again from the parent (lineage). Start with list_images; import_image {"registry_url":"host:"}',
  'makes a base of this machine without a download.',
].join(' ');

/** `coppice mcp`: the verbs as tools, over stdin and stdout. Resolves with the exit code when the agent has gone. */
export async function serveMcp(options: McpOptions): Promise<number> {
  const engine = new EngineConnection({ home: options.home, script: options.engineScript, start: true });
  const server = new Server(
    { name: 'coppice', title: 'Coppice', version: VERSION },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  const tools = listTools(options.tools);
  const roots = new Roots(server, options.cwd, options.allow);
  const session = { engine, tools, roots, allowHostNetwork: options.allowHostNetwork };
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools] }));
  server.setRequestHandler(CallToolRequestSchema, (request, extra) => callTool(session, request.params, extra));
  const gone = new Promise<void>(resolve => {
    server.onclose = resolve;
    process.stdin.once('end', resolve);
    process.stdin.once('close', resolve);
  });
  await server.connect(new StdioServerTransport());
  await gone;
  await server.close();
  engine.close();
  return 0;
}
