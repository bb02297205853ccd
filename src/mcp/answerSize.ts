import type { OperationResult } from '../protocol/schemas/operations.ts';

/** Clients give up on a message over 10 MiB, and the text says everything a second time. */
const LARGEST = 4_000_000;
/** What is left of each stream of an answer that was too large. */
const HEAD = 100_000;

type Outputs = Pick<OperationResult, 'stdout' | 'stderr' | 'truncated'>;

/** The result in a size that every client takes: output gives way, its rest stays readable. Undefined when that is not enough. */
export function fitAnswer(result: unknown): unknown {
  if (sizeOf(result) <= LARGEST) return result;
  const shorter = withShortOutputs(result);
  return sizeOf(shorter) <= LARGEST ? shorter : undefined;
}

const sizeOf = (result: unknown): number => Buffer.byteLength(JSON.stringify(result));

function withShortOutputs(result: unknown): unknown {
  if (isOutputs(result)) return shortOutputs(result);
  const { results } = result as { readonly results?: Readonly<Record<string, unknown>> };
  if (results === undefined) return result;
  const shorter = Object.entries(results).map(([id, one]) => [id, isOutputs(one) ? shortOutputs(one) : one]);
  return { ...(result as object), results: Object.fromEntries(shorter) };
}

function isOutputs(result: unknown): result is Outputs {
  const { stdout, truncated } = result as { readonly stdout?: unknown; readonly truncated?: unknown };
  return typeof stdout === 'string' && typeof truncated === 'object';
}

function shortOutputs(result: Outputs): Outputs {
  return {
    ...result,
    stdout: head(result.stdout),
    stderr: head(result.stderr),
    truncated: {
      stdout: result.truncated.stdout || result.stdout.length > HEAD,
      stderr: result.truncated.stderr || result.stderr.length > HEAD,
    },
  };
}

/** Never half of a character. */
const head = (text: string): string => text.slice(0, HEAD).replace(/[\ud800-\udbff]$/, '');
