import { CoppiceError } from '../../protocol/errors.ts';

/** The words of JSON schema that our tools' schemas use; a unit test sees to it that there are no others. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** VS Code passes on whatever a model wrote: it is checked before anybody is asked and before anything starts. */
export function checkInput(tool: string, schema: Schema, input: unknown): Readonly<Record<string, unknown>> {
  const objection = objectionTo(schema, input, '');
  if (!objection) return input as Readonly<Record<string, unknown>>;
  const field = objection.path === '' ? tool : objection.path;
  throw new CoppiceError('invalid_input', `${field}: ${objection.reason}`, { field, data: { tool } });
}

interface Objection {
  readonly path: string;
  readonly reason: string;
}

const against = (path: string, reason: string): Objection => ({ path, reason });
const below = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function objectionTo(schema: Schema, value: unknown, path: string): Objection | undefined {
  if (schema.anyOf) return objectionToAll(schema.anyOf, value, path);
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some(type => isOfType(value, type)))
    return against(path, value === undefined ? 'is missing' : `must be ${types.join(' or ')}`);
  if (schema.enum && !schema.enum.includes(value)) return against(path, `must be one of ${schema.enum.join(', ')}`);
  if (typeof value === 'string') return objectionToText(schema, value, path);
  if (typeof value === 'number') return objectionToNumber(schema, value, path);
  if (Array.isArray(value)) return objectionToList(schema, value, path);
  if (typeof value === 'object' && value !== null)
    return objectionToObject(schema, value as Readonly<Record<string, unknown>>, path);
  return undefined;
}

/** The objection of the alternative that comes furthest says best what is wrong. */
function objectionToAll(schemas: readonly Schema[], value: unknown, path: string): Objection | undefined {
  const objections = schemas.map(schema => objectionTo(schema, value, path));
  if (objections.includes(undefined)) return undefined;
  return (objections as Objection[]).reduce((best, next) => (next.path.length > best.path.length ? next : best));
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'null':
      return value === null;
    default:
      return typeof value === type;
  }
}

function objectionToText(schema: Schema, value: string, path: string): Objection | undefined {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  if (value.length < minLength) return against(path, minLength === 1 ? 'must not be empty' : 'is too short');
  if (value.length > maxLength) return against(path, `must have ${maxLength} characters at most`);
  if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) return against(path, `must match ${pattern}`);
  return undefined;
}

function objectionToNumber(schema: Schema, value: number, path: string): Objection | undefined {
  const { minimum, maximum, exclusiveMinimum } = schema;
  if (minimum !== undefined && value < minimum) return against(path, `must be ${minimum} at least`);
  if (maximum !== undefined && value > maximum) return against(path, `must be ${maximum} at most`);
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum)
    return against(path, `must be more than ${exclusiveMinimum}`);
  return undefined;
}

function objectionToList(schema: Schema, value: readonly unknown[], path: string): Objection | undefined {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = schema;
  if (value.length < minItems) return against(path, `must have ${minItems} at least`);
  if (value.length > maxItems) return against(path, `must have ${maxItems} at most`);
  return items && first(value, (item, index) => objectionTo(items, item, below(path, String(index))));
}

function objectionToObject(
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  path: string,
): Objection | undefined {
  const { properties = {}, required = [], additionalProperties: more = true } = schema;
  const missing = required.find(name => value[name] === undefined);
  if (missing !== undefined) return against(below(path, missing), 'is missing');
  return first(Object.entries(value), ([name, part]) => {
    const known = Object.hasOwn(properties, name) ? properties[name] : more;
    if (known === false) return against(below(path, name), 'there is no such field');
    return known === true || known === undefined || part === undefined
      ? undefined
      : objectionTo(known, part, below(path, name));
  });
}

function first<T>(list: readonly T[], look: (item: T, index: number) => Objection | undefined): Objection | undefined {
  for (const [index, item] of list.entries()) {
    const found = look(item, index);
    if (found) return found;
  }
  return undefined;
}
