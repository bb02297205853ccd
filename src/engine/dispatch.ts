import type { z } from 'zod';
import { CoppiceError } from '../protocol/errors.ts';
import { type VerbName, verbSchemas } from '../protocol/verbs.ts';
import type { Call, Handlers } from './call.ts';

/** Every call passes here: the verb is known, the input is valid, or one clear error names the field. */
export async function dispatch(handlers: Handlers, verb: string, input: unknown, call: Call): Promise<unknown> {
  if (!Object.hasOwn(verbSchemas, verb)) throw new CoppiceError('unknown_verb', `no verb ${verb}`, { data: { verb } });
  const name = verb as VerbName;
  const parsed = verbSchemas[name].input.safeParse(input ?? {});
  if (!parsed.success) throw inputError(name, parsed.error);
  const handler = handlers[name] as (request: unknown, call: Call) => Promise<unknown>;
  return handler(parsed.data, call);
}

function inputError(verb: VerbName, error: z.ZodError): CoppiceError {
  const issue = deepest(error.issues[0]!);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...issue.path, ...(unknown === undefined ? [] : [unknown])].map(String).join('.');
  const field = path === '' ? verb : path;
  const message = unknown === undefined ? `${field}: ${sentence(issue)}` : `${field}: ${verb} knows no such field`;
  return new CoppiceError('invalid_input', message, { field, data: { verb } });
}

type Issue = z.ZodError['issues'][number];

/** Of a union's branches, the one that came furthest says best what is wrong. */
function deepest(issue: Issue): Issue {
  if (issue.code === 'invalid_key') return { ...issue.issues[0]!, path: issue.path } as Issue;
  if (issue.code !== 'invalid_union') return issue;
  const candidates = issue.errors
    .flat()
    .map(inner => deepest({ ...inner, path: [...issue.path, ...inner.path] } as Issue));
  return candidates.sort((a, b) => b.path.length - a.path.length)[0] ?? issue;
}

function sentence(issue: Issue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined && /received undefined/.test(issue.message))
    return 'is missing';
  return issue.message.replace(/^Invalid input: /, '');
}
