import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import { agentInputSchema, agentResultSchema } from '../fence/agentSchema.ts';
import { type ListedVerb, verbNames, verbs } from '../verbs/verbs.ts';

export type ToolSet = 'core' | 'all';

/** The verb table as MCP tools. */
export function listTools(set: ToolSet): readonly Tool[] {
  return verbNames.filter(name => set === 'all' || verbs[name].core).map(toolOf);
}

function toolOf(name: ListedVerb): Tool {
  const verb = verbs[name];
  return {
    name,
    title: verb.title,
    description: verb.description,
    inputSchema: agentInputSchema(name),
    outputSchema: agentResultSchema(name),
    annotations: {
      title: verb.title,
      readOnlyHint: verb.annotations.readOnly,
      destructiveHint: verb.annotations.destructive,
      idempotentHint: verb.annotations.idempotent,
      openWorldHint: verb.annotations.openWorld,
    },
  };
}
