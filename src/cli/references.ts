import type { EngineClient } from '../client/engineClient.ts';
import { CoppiceError } from '../protocol/errors.ts';

/** Tables show the beginnings of ids, so commands take them. Image prefixes are the engine's own matter. */

export async function fullOperationId(client: EngineClient, text: string): Promise<string> {
  if (/^op-[0-9a-f]{16}$/.test(text) || !/^(op-)?[0-9a-f]{4,}$/.test(text)) return text;
  const { operations } = await client.call('list_operations', { limit: 10_000 });
  return onlyOne(
    text,
    operations.map(operation => operation.operation_id),
    'op-',
    'operation',
    'operation_not_found',
    'See coppice ps.',
  );
}

export async function fullSandboxId(client: EngineClient, text: string): Promise<string> {
  const { sandboxes } = await client.call('list_sandboxes', { show_terminated: true, limit: 10_000 });
  return onlyOne(
    text,
    sandboxes.map(sandbox => sandbox.sandbox_id),
    'sb-',
    'sandbox',
    'sandbox_not_found',
    'See coppice sandboxes.',
  );
}

/** With where it appears inside; an id that is not listed may still be known to the engine. */
export async function fullState(
  client: EngineClient,
  text: string,
): Promise<{ readonly id: string; readonly destination: string }> {
  const { states } = await client.call('states', { limit: 10_000 });
  if (/^ds-[0-9a-f]{40}$/.test(text)) {
    const destination = states.find(state => state.directory_state_id === text)?.destination ?? '/';
    return { id: text, destination };
  }
  const ids = states.map(state => state.directory_state_id);
  const id = onlyOne(text, ids, 'ds-', 'directory state', 'state_not_found', 'See coppice states.');
  return { id, destination: states.find(state => state.directory_state_id === id)!.destination };
}

function onlyOne(
  text: string,
  ids: readonly string[],
  kind: string,
  noun: string,
  code: 'operation_not_found' | 'sandbox_not_found' | 'state_not_found',
  fix: string,
): string {
  const prefix = text.startsWith(kind) ? text : kind + text;
  const exact = ids.find(id => id === prefix);
  if (exact !== undefined) return exact;
  const matches = ids.filter(id => id.startsWith(prefix));
  if (matches.length === 1) return matches[0]!;
  if (matches.length === 0) throw new CoppiceError(code, `no ${noun} ${text}`, { fix });
  throw new CoppiceError('ambiguous_reference', `${text} could be ${matches.slice(0, 5).join(', ')}`, {
    fix: 'Write more of it.',
    data: { candidates: matches },
  });
}
