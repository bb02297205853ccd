import type { VerbRequest } from '../../protocol/verbs.ts';
import type { ProcessExit } from '../../runtimes/runtime.ts';

/** What would have served better: said once, in a sentence, where the mistake was made. */

export function chainHint(request: VerbRequest<'run'>): string | undefined {
  if (request.disposable || request.command === undefined) return undefined;
  const links = request.command.split(/&&|;/).filter(part => part.trim() !== '').length;
  return links >= 3
    ? 'This chains several commands into one image. With `steps: [...]` each becomes an image of its own, and a failure can be undone from the step before.'
    : undefined;
}

export function outcomeHints(run: {
  readonly request: VerbRequest<'run'>;
  readonly exit: ProcessExit;
  readonly changed: boolean;
  readonly kept: boolean;
  readonly timedOut: boolean;
  readonly notes: readonly string[];
  readonly drifted: boolean;
}): string[] {
  const hints: string[] = [...run.notes];
  if (run.timedOut) hints.push(`Killed after ${run.request.timeout} s. Give a larger timeout, or 0 for none.`);
  if (run.exit.oom) hints.push('Killed by the kernel for want of memory. Raise limits.memory.');
  if (run.changed && !run.kept)
    hints.push(
      'The run changed files and they were thrown away. To keep them as an image, run it with disposable:false.',
    );
  if (run.kept && !run.changed)
    hints.push('Nothing changed, so there is no new image: result_image is the one it started from.');
  if (run.drifted)
    hints.push('The machine has changed since its `host:` image was made. `import_image host:` makes a fresh base.');
  return hints;
}
