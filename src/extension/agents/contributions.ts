/** What agents in VS Code are given, for the manifest and the code. Imports nothing, as `../contributions.ts`. */

/** The verbs that are VS Code's language model tools too: few, each costs every request. */
export const agentTools = {
  run: { icon: '$(play-circle)', description: 'Run a command in a sandbox' },
  rsync: { icon: '$(sync)', description: 'Sync a folder into sandboxes' },
  wait_operations: { icon: '$(watch)', description: 'Wait for sandbox runs' },
  list_images: { icon: '$(layers)', description: 'List sandbox images' },
  import_image: { icon: '$(add)', description: 'Import a sandbox image' },
  lineage: { icon: '$(type-hierarchy)', description: 'Show where an image came from' },
  download: { icon: '$(desktop-download)', description: 'Copy files out of an image' },
  apply: { icon: '$(git-merge)', description: 'Bring a sandbox’s changes into the workspace' },
} as const;
export type AgentVerb = keyof typeof agentTools;
export const agentToolName = (verb: AgentVerb): `coppice_${AgentVerb}` => `coppice_${verb}`;

export const mcpServer = { id: 'coppice.mcp', label: 'Coppice' } as const;

/** Who can be set up to use our MCP server. */
export const agents = { claude: 'Claude Code', codex: 'Codex', cursor: 'Cursor', copilot: 'Copilot CLI' } as const;
export type AgentName = keyof typeof agents;
