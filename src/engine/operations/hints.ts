import type { VerbRequest } from '../../protocol/verbs.ts';
import type { ProcessExit } from '../../runtimes/runtime.ts';

/** What would have served better: said once, in a sentence, where the mistake was made. */

export function chainHint(request: VerbRequest<'run'>): string | undefined {
  if (request.disposable || !isChain(request.command)) return undefined;
  return 'This chains several commands into one image. With `steps: [...]` each becomes an image of its own, and a failure can be undone from the step before.';
}

/** Three commands or more, one after the other. What is quoted, and the parts of a loop or condition, are none. */
export function isChain(command: string | undefined): boolean {
  if (command === undefined) return false;
  const bare = command.replace(/\\.|'[^']*'|"(?:\\.|[^"\\])*"/gs, '_');
  if (/\b(for|while|until|if|case)\b/.test(bare)) return false;
  return bare.split(/&&|;|\n/).filter(part => part.trim() !== '').length >= 3;
}

/** Longer ones are worth being waited for apart. */
const WORTH_A_WAIT_MS = 10_000;

/** One operation that was started apart and then waited for, with nothing else going on. */
export function loneHint(alone: boolean, durationMs: number | null): string | undefined {
  if (!alone || durationMs === null || durationMs > WORTH_A_WAIT_MS) return undefined;
  return 'A single short run needs no wait:false: run waits by itself and answers with the same result in one call.';
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
      isChain(run.request.command)
        ? 'The run changed files and they were thrown away. Give its commands as `steps: [...]` to keep each as an image.'
        : 'The run changed files and they were thrown away. To keep them as an image, run it with disposable:false.',
    );
  if (run.kept && !run.changed)
    hints.push('Nothing changed, so there is no new image: result_image is the one it started from.');
  if (run.drifted)
    hints.push('The machine has changed since its `host:` image was made. `import_image host:` makes a fresh base.');
  return hints;
}
