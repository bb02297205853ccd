import { verbs } from '../../verbs/verbs.ts';
import type { AgentVerb } from './contributions.ts';

/** A verb's result as text for a model, which knows the verbs by their tools' names. */
export function answerText(verb: AgentVerb, result: unknown): string {
  const render = verbs[verb].render as (result: unknown) => string;
  return withToolNames(render(result));
}

/** Models that speak to VS Code's tools have no read_output: a finished operation is asked again, for more. */
function withToolNames(text: string): string {
  return text
    .replace(
      /read on: read_output \{"operation_id":"(op-[0-9a-f]+)"[^}\n]*\}\]$/gm,
      'for more: coppice_wait_operations {"operation_ids":["$1"],"truncate_output_at":100000}]',
    )
    .replace(/^Collect it: wait_operations /gm, 'Collect it: coppice_wait_operations ');
}
