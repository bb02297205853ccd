import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { UsageError } from '../usageError.ts';

/** What `src/mcp/main.ts` exports. */
interface McpModule {
  serveMcp(options: {
    readonly home: string;
    readonly engineScript: string;
    readonly tools: 'core' | 'all';
    readonly cwd: string;
    readonly allow: readonly string[];
    readonly allowHostNetwork: boolean;
    readonly http: { readonly port: number; readonly newToken: boolean } | undefined;
    readonly signal: AbortSignal;
    readonly say: (line: string) => void;
  }): Promise<void>;
}

const SETS = ['core', 'all'] as const;

export const mcp = defineCommand({
  name: 'mcp',
  group: 'Coppice',
  summary: 'Serve agents: a Model Context Protocol server on stdin and stdout, or on loopback',
  description:
    'Configure your agent to start it: command "coppice", arguments ["mcp"]. On this machine the agent reads and\n' +
    'writes only inside the roots its client names, else inside the folder it was started in.\n\n' +
    'With --http it listens on 127.0.0.1 and nowhere else, for clients that send the token as\n' +
    '"Authorization: Bearer TOKEN". The token is printed once, when it is made, and kept in a file only you can read.',
  options: {
    tools: { value: 'SET', help: 'core: what agents need most (default); all: every verb', completes: SETS },
    allow: { value: 'FOLDER', multiple: true, help: 'Let the agent read and write here too', completes: 'folder' },
    'allow-host-network': { help: 'Let the agent run with --network host, and builds fetch by it' },
    http: { help: 'Serve by HTTP on loopback instead' },
    port: { value: 'N', help: 'Port for --http (default: a free one)' },
    'new-token': { help: 'Make a new token for --http; the old one is worth nothing then' },
  },
  examples: [
    ['claude mcp add coppice -- coppice mcp', 'for Claude Code; others take the same command'],
    ['coppice mcp --http --port 7300', 'for clients that speak HTTP'],
  ],
  run: async (context, { options }) => {
    const set = SETS.find(candidate => candidate === (options.tools ?? 'core'));
    if (set === undefined) throw new UsageError(`--tools is core or all, not ${options.tools}`, 'mcp');
    if (!options.http && (options.port !== undefined || options['new-token']))
      throw new UsageError('--port and --new-token are for --http', 'mcp');
    const server = (await import(pathToFileURL(context.mcpModule).href)) as McpModule;
    const stop = new AbortController();
    await context.interrupts.during(
      () => stop.abort(),
      () =>
        server.serveMcp({
          home: context.home,
          engineScript: context.engineScript,
          tools: set,
          cwd: context.cwd,
          allow: options.allow.map(folder => path.resolve(context.cwd, folder)),
          allowHostNetwork: options['allow-host-network'],
          http: options.http ? { port: portOf(options.port), newToken: options['new-token'] } : undefined,
          signal: stop.signal,
          say: line => context.terminal.out.line(line),
        }),
    );
    return EXIT.ok;
  },
});

function portOf(text: string | undefined): number {
  const port = Number(text ?? 0);
  if (/^\d*$/.test(text ?? '') && port <= 65_535) return port;
  throw new UsageError(`--port is a number up to 65535, not ${text}`, 'mcp');
}
