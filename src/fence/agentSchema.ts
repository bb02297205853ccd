import { z } from 'zod';
import { type VerbName, verbSchemas } from '../protocol/verbs.ts';
import { defaultedFields } from './hostPaths.ts';

export interface ObjectSchema {
  readonly type: 'object';
  readonly properties?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required?: string[];
  readonly [keyword: string]: unknown;
}

/** Fields that are for our own surfaces: ids minted by the caller, a watcher's findings, folders that the roots give. */
const NOT_FOR_AGENTS: ReadonlySet<string> = new Set([
  'rsync.changed',
  'create_sandbox.sandbox_id',
  'exec.process_id',
  ...['run', 'branch', 'checkout', 'rollback', 'branches', 'create_sandbox'].map(verb => `${verb}.workspace`),
]);

/** What an agent is told that a verb takes. The engine checks by the whole schema. */
export function agentInputSchema(verb: VerbName): ObjectSchema {
  const { properties = {}, required = [], ...rest } = objectSchema(verbSchemas[verb].input, 'input');
  const hidden = new Set(Object.keys(properties).filter(field => NOT_FOR_AGENTS.has(`${verb}.${field}`)));
  const optional = new Set([...defaultedFields(verb), ...hidden]);
  const wanted = required.filter(field => !optional.has(field));
  return {
    ...rest,
    properties: Object.fromEntries(Object.entries(properties).filter(([field]) => !hidden.has(field))),
    ...(wanted.length > 0 ? { required: wanted } : {}),
  };
}

export const agentResultSchema = (verb: VerbName): ObjectSchema => objectSchema(verbSchemas[verb].result, 'output');

/** Tools take and give objects; a union of objects is said with `anyOf` beside the type. */
function objectSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: withoutSafeBounds });
  return { ...json, type: 'object' } as ObjectSchema;
}

/** Every integer would say that it fits into a double. */
function withoutSafeBounds({ jsonSchema }: { readonly jsonSchema: { minimum?: number; maximum?: number } }): void {
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
