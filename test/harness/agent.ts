import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import { type CallToolResult, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { repository } from './coppiceHome.ts';
import type { TestEngine } from './engine.ts';

export interface Answer<T> {
  readonly text: string;
  readonly value: T;
  readonly isError: boolean;
}

export interface AgentOptions {
  readonly tools?: 'core' | 'all';
  readonly arguments?: readonly string[];
  /** Where the server is started; the engine's folder of this machine by default. */
  readonly cwd?: string;
  /** Folders the client names as its roots; a function may change its answer. */
  readonly roots?: () => readonly string[];
}

/** The official client with our server as its child, as every agent has it. */
export class TestAgent implements AsyncDisposable {
  readonly client: Client;
  readonly transport: StdioClientTransport;

  private constructor(client: Client, transport: StdioClientTransport) {
    this.client = client;
    this.transport = transport;
  }

  static async start(engine: TestEngine, options: AgentOptions = {}): Promise<TestAgent> {
    const { roots } = options;
    const client = new Client(
      { name: 'test', version: '1.0.0' },
      { capabilities: roots ? { roots: { listChanged: true } } : {} },
    );
    if (roots) {
      client.setRequestHandler(ListRootsRequestSchema, () => ({
        roots: roots().map(folder => ({ uri: pathToFileURL(folder).href })),
      }));
    }
    const transport = new StdioClientTransport({
      ...serverCommand(options),
      env: { ...(process.env as Record<string, string>), COPPICE_HOME: engine.home, COPPICE_IMAGE: 'busybox' },
      cwd: options.cwd ?? engine.folder.path,
    });
    await client.connect(transport);
    return new TestAgent(client, transport);
  }

  /** A tool's answer: its text, and its structure, which the client has checked against the tool's schema. */
  async call<T = Record<string, unknown>>(
    name: string,
    input: object = {},
    options: RequestOptions = {},
  ): Promise<Answer<T>> {
    const result = await this.client.callTool({ name, arguments: { ...input } }, undefined, options);
    return answerOf<T>(result as CallToolResult);
  }

  /** The same, for what must not be an error. */
  async succeed<T = Record<string, unknown>>(name: string, input: object = {}): Promise<Answer<T>> {
    const answer = await this.call<T>(name, input);
    assert.equal(answer.isError, false, answer.text);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

export function serverCommand(options: AgentOptions = {}): { readonly command: string; readonly args: string[] } {
  const program = path.join(realpathSync(repository), 'dist', 'coppice.js');
  return {
    command: process.execPath,
    args: [program, 'mcp', '--tools', options.tools ?? 'core', ...(options.arguments ?? [])],
  };
}

export function answerOf<T>(result: CallToolResult): Answer<T> {
  const [content] = result.content;
  assert.equal(content?.type, 'text');
  return {
    text: content?.type === 'text' ? content.text : '',
    value: result.structuredContent as T,
    isError: result.isError === true,
  };
}
