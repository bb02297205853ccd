import { z } from 'zod';
import { type VerbName, verbSchemas } from '../protocol/verbs.ts';
import { defaultedFields } from './hostPaths.ts';

export interface ObjectSchema {
  readonly type: 'object';
  readonly properties?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly required?: string[];
  readonly [keyword: string]: unknown;
}

/** Fields that are for our own surfaces: ids minted by the caller, a watcher's findings, a panel's groups, folders that the roots give. */
const NOT_FOR_AGENTS: ReadonlySet<string> = new Set([
  'rsync.changed',
  'create_sandbox.sandbox_id',
  'exec.process_id',
  'open_session.session_id',
  'run.group',
  'run.labels',
  'list_operations.group',
  'build.confined',
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
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => simplify(jsonSchema, io),
  });
  return { ...json, type: 'object' } as ObjectSchema;
}

/** A longer pattern, as a UUID's, says less than the name of the format. */
const LONGEST_PATTERN = 50;

/** Every word of a schema is read by a model, with every task: what teaches nothing is left out. The engine checks it all the same. */
function simplify(schema: z.core.JSONSchema.BaseSchema, io: 'input' | 'output'): void {
  // Every integer would say that it fits into a double.
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.pattern !== undefined && schema.pattern.length > LONGEST_PATTERN) delete schema.pattern;
  // Some models' dialects know one type a field.
  if (io === 'input' && Array.isArray(schema.type)) {
    schema.anyOf = schema.type.map(type => ({ type }));
    delete schema.type;
  }
  delete schema.propertyNames;
  delete schema.contentEncoding;
  if (typeof schema.default === 'object') delete schema.default;
}
