import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineCommand } from '../command.ts';
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
  }): Promise<number>;
}

const SETS = ['core', 'all'] as const;

export const mcp = defineCommand({
  name: 'mcp',
  group: 'Coppice',
  summary: 'Serve agents: a Model Context Protocol server on stdin and stdout',
  description:
    'Configure your agent to start it: command "coppice", arguments ["mcp"]. On this machine the agent reads and\n' +
    'writes only inside the roots its client names, else inside the folder it was started in.',
  options: {
    tools: { value: 'SET', help: 'core: what agents need most (default); all: every verb', completes: SETS },
    allow: { value: 'FOLDER', multiple: true, help: 'Let the agent read and write here too', completes: 'folder' },
    'allow-host-network': { help: 'Let the agent run with --network host' },
  },
  run: async (context, { options }) => {
    const set = SETS.find(candidate => candidate === (options.tools ?? 'core'));
    if (set === undefined) throw new UsageError(`--tools is core or all, not ${options.tools}`, 'mcp');
    const server = (await import(pathToFileURL(context.mcpModule).href)) as McpModule;
    return server.serveMcp({
      home: context.home,
      engineScript: context.engineScript,
      tools: set,
      cwd: context.cwd,
      allow: options.allow.map(folder => path.resolve(context.cwd, folder)),
      allowHostNetwork: options['allow-host-network'],
    });
  },
});
