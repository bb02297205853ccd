import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { CoppiceError } from '../protocol/errors.ts';
import { VERSION } from '../protocol/version.ts';
import { callTool } from './callTool.ts';
import { complete } from './complete.ts';
import { EngineConnection } from './engineConnection.ts';
import { getPrompt, listPrompts } from './prompts.ts';
import { listResources, readResource } from './resources.ts';
import { parseResourceUri, TEMPLATES } from './resourceUri.ts';
import { Roots } from './roots.ts';
import { listTools, type ToolSet } from './tools.ts';
import { ResourceWatch } from './watch.ts';

export interface AgentOptions {
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
  'makes a base of this machine without a download. rsync brings the workspace in, download and apply bring results',
  'home. get_guide {"section":"workflow"} has the whole loop.',
].join(' ');

/** One agent: its server, its own connection to the engine, so that what it waits for ends with it. */
export class AgentSession {
  readonly #server: Server;
  readonly #engine: EngineConnection;
  readonly #watch: ResourceWatch;

  constructor(options: AgentOptions) {
    this.#server = new Server(
      { name: 'coppice', title: 'Coppice', version: VERSION },
      {
        capabilities: {
          tools: {},
          resources: { subscribe: true, listChanged: true },
          prompts: {},
          completions: {},
          logging: {},
        },
        instructions: INSTRUCTIONS,
      },
    );
    this.#watch = new ResourceWatch(this.#server);
    this.#engine = new EngineConnection(
      { home: options.home, script: options.engineScript, start: true },
      client => this.#watch.follow(client),
      () => this.#watch.engineLost(),
    );
    this.#serveTools(options);
    this.#serveResources();
    this.#server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: listPrompts() }));
    this.#server.setRequestHandler(GetPromptRequestSchema, ({ params }) => getPrompt(params.name, params.arguments));
  }

  #serveTools(options: AgentOptions): void {
    const tools = listTools(options.tools);
    const session = {
      engine: this.#engine,
      tools,
      roots: new Roots(this.#server, options.cwd, options.allow),
      allowHostNetwork: options.allowHostNetwork,
      leftRunning: (operation: string) => this.#watch.leftRunning(operation),
    };
    this.#server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools] }));
    this.#server.setRequestHandler(CallToolRequestSchema, (request, extra) => callTool(session, request.params, extra));
  }

  #serveResources(): void {
    const server = this.#server;
    const engine = () => this.#engine.connect();
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: [...TEMPLATES] }));
    server.setRequestHandler(ListResourcesRequestSchema, async (_, { signal }) => ({
      resources: await protocolErrors(async () => listResources(await engine(), { signal })),
    }));
    server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }, { signal }) =>
      protocolErrors(async () => {
        parseResourceUri(uri);
        return readResource(await engine(), uri, { signal });
      }),
    );
    server.setRequestHandler(CompleteRequestSchema, ({ params }, { signal }) =>
      protocolErrors(async () => complete(await engine(), params, { signal })),
    );
    server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) =>
      protocolErrors(async () => {
        await this.#watch.subscribe(await engine(), uri);
        return {};
      }),
    );
    server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
      this.#watch.unsubscribe(uri);
      return {};
    });
  }

  /** Resolves when the transport is closed, from either side. */
  async serve(transport: Transport): Promise<void> {
    const closed = new Promise<void>(resolve => {
      this.#server.onclose = resolve;
    });
    await this.#server.connect(transport);
    await closed;
    this.#watch.end();
    this.#engine.close();
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

const INTERNAL_ERROR = -32603;

/** The engine's errors say more than a stack: code, message and the next step. */
async function protocolErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CoppiceError)) throw error;
    const fix = error.fix === undefined ? '' : ` ${error.fix}`;
    throw new McpError(INTERNAL_ERROR, `${error.code}: ${error.message}.${fix}`, { code: error.code });
  }
}
