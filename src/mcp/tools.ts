import type { Tool } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { verbSchemas } from '../protocol/verbs.ts';
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
    inputSchema: objectSchema(verbSchemas[name].input, 'input'),
    outputSchema: objectSchema(verbSchemas[name].result, 'output'),
    annotations: {
      title: verb.title,
      readOnlyHint: verb.annotations.readOnly,
      destructiveHint: verb.annotations.destructive,
      idempotentHint: verb.annotations.idempotent,
      openWorldHint: verb.annotations.openWorld,
    },
  };
}

/** Tools take and give objects; a union of objects is said with `anyOf` beside the type. */
function objectSchema(schema: z.ZodType, io: 'input' | 'output'): Tool['inputSchema'] {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return { ...json, type: 'object' } as Tool['inputSchema'];
}
